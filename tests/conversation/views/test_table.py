"""The tables in the documentation are those that the codecs declare."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from optio_agents.conversation.values import Event
from optio_agents.conversation.views.table import CODECS, capabilities_table, views_table
from tests.support.transcripts import load

DOCUMENT = (Path(__file__).parents[3] / "docs" / "conversation.md").read_text()
HOW = "generate it: python -m optio_agents.conversation.views.table"


def test_the_documented_table_of_views_is_the_declared_one() -> None:
    assert views_table() in DOCUMENT, HOW


def test_the_documented_table_of_capabilities_is_the_declared_one() -> None:
    assert capabilities_table() in DOCUMENT, HOW


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
