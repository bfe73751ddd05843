"""The controls of agents of the Agent Client Protocol, told as configuration options or as modes and models."""

from __future__ import annotations

import json
from typing import Any

import pytest

from optio_agents.conversation.codecs.acp import AcpCodec
from optio_agents.conversation.codecs.acp_controls import AcpControls
from optio_agents.conversation.codecs.base import ControlAnswered, ControlsListed, TurnFinished
from optio_agents.conversation.controls import EFFORT, MODEL, PERMISSION_MODE
from optio_agents.conversation.values import Event
from optio_agents.session_controls import SessionControl
from tests.support.transcripts import Replay


def option(name: str, category: str | None, current: object, *values: str, **fields: Any) -> dict[str, Any]:
    options = [{"value": value, "name": value.title()} for value in values]
    return {"id": name, "category": category, "currentValue": current, "options": options, **fields}


def told(*options: dict[str, Any]) -> AcpControls:
    controls = AcpControls()
    controls.note_session({"sessionId": "s", "configOptions": list(options)})
    return controls


def by_id(listed: ControlsListed) -> dict[str, SessionControl]:
    return {control.id: control for control in listed.controls}


@pytest.mark.parametrize(
    ("name", "values", "reasons"),
    [
        (
            "gemini/controls",
            {MODEL: "gemini-2.5-pro", PERMISSION_MODE: "default"},
            ["", "unavailable mode", "", ""],
        ),
        (
            "opencode/controls",
            {MODEL: "fake/fake-model", PERMISSION_MODE: "plan"},
            ["", "mode not found", ""],
        ),
    ],
)
def test_the_recordings_list_set_and_refuse(name: str, values: dict[str, str], reasons: list[str]) -> None:
    replay = Replay(AcpCodec(cwd="$WORK")).play(name)
    assert {each.id: each.value for each in replay.of(ControlsListed)[-1].controls} == values
    answers = replay.of(ControlAnswered)
    for answer, reason in zip(answers, reasons, strict=True):
        assert (answer.reason is None) == (reason == "")
        assert reason in (answer.reason or "")


def test_what_gemini_says_about_a_new_mode_within_a_turn_is_no_part_of_its_answer() -> None:
    replay = Replay(AcpCodec(cwd="$WORK")).play("gemini/controls")
    *_, third = replay.of(TurnFinished)
    assert third.text == "three four "
    echoes = [event for event in replay.events if "[MODE_UPDATE]" in json.dumps(event.raw)]
    assert [event.text for event in echoes] == ["", ""]


def test_an_answer_that_begins_like_that_stays_when_no_mode_was_set() -> None:
    codec = AcpCodec(cwd="/w", session="s")
    codec._is_open = True
    codec.prompt(1, "x")
    chunk = {
        "sessionUpdate": "agent_message_chunk",
        "content": {"type": "text", "text": "[MODE_UPDATE] plan"},
    }
    record = {"method": "session/update", "params": {"sessionId": "s", "update": chunk}}
    event = codec.receive(json.dumps(record).encode() + b"\n")[0]
    assert isinstance(event, Event)
    assert event.text == "[MODE_UPDATE] plan"


def test_categories_name_our_controls_and_what_has_none_keeps_its_id() -> None:
    controls = told(
        option("m", "model", "a", "a", "b"),
        option("t", "thought_level", "low", "low", "high"),
        option("agent", "mode", "build", "build", "plan"),
        option("second", "mode", "x", "x"),
        option("search", None, True),
    )
    listed = by_id(controls.listed())
    assert list(listed) == [MODEL, EFFORT, PERMISSION_MODE, "second", "search"]
    assert (listed["search"].kind, listed["search"].value, listed["search"].options) == (
        "boolean",
        True,
        None,
    )
    assert controls.request(EFFORT, "high") == (
        "option",
        "session/set_config_option",
        {"configId": "t", "value": "high"},
    )
    assert controls.request("search", False)[2] == {"configId": "search", "value": False, "type": "boolean"}


def test_values_in_groups_are_listed_with_their_group() -> None:
    grouped = option("m", "model", "a")
    grouped["options"] = [{"group": "g", "name": "Fast", "options": [{"value": "a", "name": "A"}]}]
    choices = by_id(told(grouped).listed())[MODEL].options
    assert choices is not None
    (choice,) = choices
    assert (choice.value, choice.label, choice.group) == ("a", "A", "Fast")


def test_news_of_options_and_of_the_mode_are_told() -> None:
    controls = told(option("mode", "mode", "build", "build", "plan"))
    news = {
        "sessionUpdate": "config_option_update",
        "configOptions": [option("mode", "mode", "plan", "build", "plan")],
    }
    listed = controls.note_update(news)
    assert listed is not None
    assert by_id(listed)[PERMISSION_MODE].value == "plan"
    controls = AcpControls()
    controls.note_session({"modes": {"availableModes": [{"id": "a"}, {"id": "b"}], "currentModeId": "a"}})
    listed = controls.note_update({"sessionUpdate": "current_mode_update", "currentModeId": "b"})
    assert listed is not None
    assert by_id(listed)[PERMISSION_MODE].value == "b"
    assert controls.note_update({"sessionUpdate": "agent_message_chunk"}) is None


def test_odd_lists_cost_nothing_but_themselves() -> None:
    odd: list[Any] = [
        None,
        [],
        {"configOptions": 3},
        {"modes": [], "models": "x"},
        {"configOptions": [{"id": 7}, "x"]},
    ]
    for result in odd:
        controls = AcpControls()
        controls.note_session(result)
        assert controls.listed().controls == ()
    huge = option("m", "model", "a" * 10_000, "b" * 10_000, "a") | dict.fromkeys(
        ("name", "description"), "n" * 10_000
    )
    control = by_id(told(huge).listed())[MODEL]
    assert len(json.dumps(control.to_dict())) < 2_500
