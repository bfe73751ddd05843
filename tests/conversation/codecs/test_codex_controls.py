"""Codex's controls: parameters of the next turns."""

from __future__ import annotations

import json
from typing import Any

import pytest

from optio_agents.conversation.attachments import Extras
from optio_agents.conversation.codecs.base import ControlAnswered, ControlsListed
from optio_agents.conversation.codecs.codex import CodexCodec
from optio_agents.conversation.codecs.codex_controls import CodexControls
from optio_agents.conversation.controls import EFFORT, MODEL, PERMISSION_MODE
from tests.support.transcripts import Replay


def model(name: str, *levels: str, default: str = "") -> dict[str, Any]:
    efforts = [{"reasoningEffort": level, "description": level} for level in levels]
    return {
        "id": name,
        "model": name,
        "supportedReasoningEfforts": efforts,
        "defaultReasoningEffort": default,
    }


def known(*models: dict[str, Any], **thread: str) -> CodexControls:
    controls = CodexControls()
    controls.note_thread(thread)
    controls.note_models({"data": list(models)})
    return controls


def values(listed: ControlsListed) -> dict[str, object]:
    return {control.id: control.value for control in listed.controls}


def test_the_recording_lists_the_models_and_sets_all_three_from_the_next_turn_on() -> None:
    replay = Replay(CodexCodec(cwd="$WORK")).play("codex/controls")
    first, *_, last = replay.of(ControlsListed)
    # The model of the recording is none that codex lists: it is an option all the same.
    assert values(first)[MODEL] == "gpt-5-codex"
    assert "gpt-6.1-sol" in [option.value for option in first.controls[0].options or ()]
    assert values(last) == {MODEL: "gpt-6.1-sol", EFFORT: "high", PERMISSION_MODE: "never"}
    assert {answer.reason for answer in replay.of(ControlAnswered)} == {None}


def test_a_message_is_named_by_its_owner() -> None:
    codec = CodexCodec(cwd="/w", thread="t")
    codec.prompt(1, "x", Extras(name="mine"))
    assert json.loads(codec.take_output())["params"]["clientUserMessageId"] == "mine"


def test_what_was_set_is_said_with_each_turn_and_nothing_before() -> None:
    codec = CodexCodec(cwd="/w", thread="t")

    def params() -> dict[str, Any]:
        codec.prompt(1, "x")
        request: dict[str, Any] = json.loads(codec.take_output())
        return {key: value for key, value in request["params"].items() if key not in ("threadId", "input")}

    assert params() == {}
    codec.set_control(1, PERMISSION_MODE, "never")
    assert params() == params() == {"approvalPolicy": "never"}


@pytest.mark.parametrize(("effort", "then"), [("ultra", "low"), ("high", "high"), ("", "low")])
def test_a_model_that_lacks_the_present_effort_gets_its_own_default(effort: str, then: str) -> None:
    controls = known(
        model("a", "high", "ultra"),
        model("b", "low", "high", default="low"),
        model="a",
        reasoningEffort=effort,
    )
    controls.set(MODEL, "b")
    assert values(controls.listed())[EFFORT] == then
    # Only what has changed is said.
    assert controls.parameters == {"model": "b", **({"effort": "low"} if effort == "ultra" else {})}


def test_hidden_models_are_not_listed_and_odd_answers_list_none() -> None:
    controls = known({**model("a", "low"), "hidden": True}, model("b"))
    assert [option.value for option in controls.listed().controls[0].options or ()] == ["b"]
    odd: Any
    for odd in (None, [], {"data": "x"}, {"data": [{"id": 1}]}):
        controls.note_models(odd)
        controls.note_thread(odd)
        assert controls.listed().controls[0].options == []
