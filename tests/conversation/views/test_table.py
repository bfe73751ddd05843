"""The tables in the documentation are those that the codecs declare."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest

from optio_agents.conversation.values import Capabilities, Event
from optio_agents.conversation.views.table import CODECS, capabilities_table, views_table
from tests.support.transcripts import load

DOCUMENT = (Path(__file__).parents[3] / "docs" / "conversation.md").read_text()
HOW = "generate it: python -m optio_agents.conversation.views.table"


def test_the_documented_table_of_views_is_the_declared_one() -> None:
    assert views_table() in DOCUMENT, HOW


def test_the_documented_table_of_capabilities_is_the_declared_one() -> None:
    assert capabilities_table() in DOCUMENT, HOW


AGENTS = Path(__file__).parents[2] / "agents"
PROOFS = {
    "interrupt": "test_dialogue.py::test_interrupts_wherever_the_turn_is",
    "steer": "test_dialogue.py::test_a_steering_message_becomes_part_of_the_turn",
    "change_input": "test_dialogue.py::test_permissions_allowed_denied_and_changed",
    "resume": "test_resume.py::test_a_later_process_takes_up_the_session",
    "fork": "test_sessions.py::test_a_fork_knows_what_was_said_and_leaves_the_session_as_it_is",
    "list_sessions": "test_sessions.py::test_the_last_session_is_found_and_resumed",
    "tools": "test_tools.py::test_functions_of_ours_are_called_and_their_results_used",
    "images": "test_answers.py::test_the_model_sees_an_image",
    "files": "test_answers.py::test_the_model_reads_a_file",
    "answer_schema": "test_answers.py::test_an_answer_becomes_a_value_of_the_type",
    "deny_message": "test_dialogue.py::test_permissions_allowed_denied_and_changed",
}
"""The test with real agents that shows each capability."""


def test_each_capability_is_shown_with_real_agents() -> None:
    assert set(PROOFS) == {field.name for field in dataclasses.fields(Capabilities)}
    for proof in PROOFS.values():
        name, _, test = proof.partition("::")
        assert f"def {test}(" in (AGENTS / name).read_text(), proof


def test_every_codec_has_views() -> None:
    assert views_table().splitlines()[0] == f"| view | {' | '.join(CODECS)} |"


def test_the_documented_program_shows_a_conversation(capsys: pytest.CaptureFixture[str]) -> None:
    (program,) = [
        each
        for each in re.findall(r"^```python\n(.*?)^```", DOCUMENT, re.DOTALL | re.M)
        if "def show" in each
    ]
    names: dict[str, Any] = {}
    exec(compile(program, "docs/conversation.md", "exec", dont_inherit=True), names)
    for direction, raw in [*load("claude/interrupt"), *load("claude/errors")]:
        if direction == "out" and isinstance(raw, dict):
            names["show"](Event(raw))
    shown = capsys.readouterr().out
    assert "chunk0 chunk1 " in shown
    assert "[Bash] {'command': " in shown
    assert "authentication error: Failed to authenticate" in shown
    assert "(it tries again)" in shown
