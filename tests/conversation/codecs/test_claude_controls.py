"""Claude's controls, over a recorded dialogue in which they were set between turns and within one."""

from __future__ import annotations

from typing import Any

from optio_agents.conversation.codecs.base import ControlAnswered, ControlsListed
from optio_agents.conversation.codecs.claude import ClaudeCodec
from optio_agents.conversation.codecs.claude_controls import ClaudeControls
from optio_agents.conversation.controls import EFFORT, MODEL, NO_LEVELS, PERMISSION_MODE
from optio_agents.session_controls import SessionControl
from tests.support.transcripts import Replay

MODELS = [
    {
        "value": "default",
        "resolvedModel": "big-5",
        "displayName": "Default",
        "supportedEffortLevels": ["low", "max"],
    },
    {"value": "big", "resolvedModel": "big-5", "displayName": "Big", "supportedEffortLevels": ["low", "max"]},
    {"value": "small", "resolvedModel": "small-5", "displayName": "Small"},
]


def by_id(listed: ControlsListed) -> dict[str, SessionControl]:
    return {control.id: control for control in listed.controls}


def known(*, model: str = "big-5", effort: str = "low") -> ClaudeControls:
    """Controls of which everything was told."""
    controls = ClaudeControls()
    controls.note_initialized({"models": MODELS, "current_permission_mode": "default"})
    controls.note_listing("r0")
    applied = {"applied": {"model": model, "effort": effort}}
    (listed,) = controls.answered("r0", {"subtype": "success", "response": applied})
    assert isinstance(listed, ControlsListed)
    assert listed.complete
    return controls


def changed(controls: ClaudeControls, control: str, value: str) -> dict[str, SessionControl]:
    """What is listed once the agent has taken the value."""
    controls.note_change("r1", 1, control, value)
    listed, answered = controls.answered("r1", {"subtype": "success"})
    assert answered == ControlAnswered(1, None)
    assert isinstance(listed, ControlsListed)
    return by_id(listed)


def test_the_recording_lists_sets_and_refuses() -> None:
    replay = Replay(ClaudeCodec()).play("claude/controls")
    first, *later = replay.of(ControlsListed)
    controls = by_id(first)
    assert list(controls) == [MODEL, EFFORT, PERMISSION_MODE]
    assert [option.value for option in controls[MODEL].options or ()] == [
        "default",
        "opus",
        "fable",
        "sonnet",
        "haiku",
    ]
    assert (controls[MODEL].value, controls[EFFORT].value, controls[PERMISSION_MODE].value) == (
        "default",
        "medium",
        "default",
    )
    assert controls[EFFORT].levels == ["low", "medium", "high", "xhigh", "max"]
    answers = replay.of(ControlAnswered)
    assert [answer.reason is None for answer in answers] == [True, True, True, False, True, True]
    assert "--dangerously-skip-permissions" in (answers[3].reason or "")
    assert {name: control.value for name, control in by_id(later[-1]).items()} == {
        MODEL: "haiku",
        EFFORT: "high",
        PERMISSION_MODE: "plan",
    }


def test_a_model_that_was_set_keeps_its_name_when_a_turn_begins_with_what_it_resolves_to() -> None:
    controls = known()
    assert changed(controls, MODEL, "big")[MODEL].value == "big"
    assert controls.note_turn({"model": "big-5", "permissionMode": "default"}) == []
    assert changed(controls, EFFORT, "max")[MODEL].value == "big"


def test_a_model_that_is_not_listed_is_an_option_and_takes_the_levels_of_all_others() -> None:
    control = changed(known(), MODEL, "own-finetune")
    assert [option.value for option in control[MODEL].options or ()][-1] == "own-finetune"
    assert control[EFFORT].levels == ["low", "max"]


def test_a_model_without_levels_of_effort_has_a_disabled_slider() -> None:
    control = changed(known(), MODEL, "small")[EFFORT]
    assert (control.disabled, control.why_disabled) == (True, NO_LEVELS)


def test_the_mode_that_the_agent_enters_by_itself_is_told() -> None:
    (listed,) = known().note_turn({"type": "system", "subtype": "status", "permissionMode": "plan"})
    assert isinstance(listed, ControlsListed)
    assert not listed.complete
    assert by_id(listed)[PERMISSION_MODE].value == "plan"


def test_a_version_without_settings_lists_what_it_told_at_the_start() -> None:
    controls = ClaudeControls()
    controls.note_initialized({"models": MODELS})
    controls.note_listing("r0")
    (listed,) = controls.answered("r0", {"subtype": "error", "error": "Unsupported control request subtype"})
    assert isinstance(listed, ControlsListed)
    assert listed.complete
    assert by_id(listed)[MODEL].value == ""


def test_odd_answers_cost_nothing_but_themselves() -> None:
    odd: Any
    for odd in (
        {"models": "none"},
        {"models": [1, {"value": 5}]},
        [],
        None,
        {"models": [{"value": "x" * 501}]},
    ):
        controls = ClaudeControls()
        controls.note_initialized(odd)
        controls.note_listing("r0")
        response: dict[str, Any] = {"subtype": "success", "response": {"applied": odd}}
        (listed,) = controls.answered("r0", response)
        assert isinstance(listed, ControlsListed)
        assert by_id(listed)[MODEL].options == []
    assert known().answered("of another request", {}) == []
