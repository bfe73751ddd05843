"""Changes of controls: each ends once, whatever the backend says; nothing is asked before somebody asks."""

from __future__ import annotations

from typing import Any

import pytest

from optio_agents.conversation.codecs.base import ControlAnswered, ControlsListed, Signal
from optio_agents.conversation.controls import ControlEnd
from optio_agents.conversation.turns.effects import ControlSettled, ControlsKnown, Effect
from optio_agents.conversation.turns.owner_commands import Turns
from optio_agents.conversation.turns.turn_state import TurnState
from optio_agents.conversation.values import Event
from optio_agents.session_controls import ControlOption, SessionControl
from tests.support.simulated_agent import SimulatedCodec

CLOSED = (
    SessionControl("gone", "select", "Gone", "", options=[], disabled=True, why_disabled="not today"),
    SessionControl("switch", "boolean", "Switch", False),
)


def mode(value: str) -> SessionControl:
    options = [
        ControlOption("ask", "Ask"),
        ControlOption("yolo", "Yolo"),
        ControlOption("x", "X", disabled=True),
    ]
    return SessionControl("permission_mode", "select", "Mode", value, options=options)


def model(value: str) -> SessionControl:
    return SessionControl("model", "select", "Model", value, options=[ControlOption("a", "A")], disabled=True)


class ControlledCodec(SimulatedCodec):
    """A backend with controls, which answers when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[Any, ...]] = []

    def list_controls(self) -> list[Signal]:
        self.asked.append(("list",))
        return []

    def set_control(self, change: int, control: str, value: str | bool) -> list[Signal]:
        self.asked.append((change, control, value))
        return []


def listed(mode_value: str = "ask", *, complete: bool = True) -> ControlsListed:
    return ControlsListed((model("a"), mode(mode_value), *CLOSED), complete)


def turns() -> tuple[Turns, ControlledCodec]:
    codec = ControlledCodec()
    return Turns(TurnState(codec)), codec


def known() -> tuple[Turns, ControlledCodec]:
    machine, codec = turns()
    assert machine.list_controls() == []
    effects = machine.turn_state.controls.listed(listed())
    assert effects == [ControlsKnown(listed().controls)]
    return machine, codec


def test_the_backend_is_asked_once_and_only_if_somebody_asks() -> None:
    machine, codec = turns()
    assert machine.turn_state.controls.listed(listed(complete=False)) == []
    assert codec.asked == []
    machine.list_controls()
    machine.list_controls()
    assert codec.asked == [("list",)]


def test_each_change_that_was_listed_is_an_event_and_what_stays_is_none() -> None:
    machine, _ = known()
    assert machine.turn_state.controls.listed(listed(complete=False)) == []
    (event,) = machine.turn_state.controls.listed(listed("yolo", complete=False))
    assert isinstance(event, Event)
    assert event.raw["type"] == "x-optio-control-update"
    assert event.raw["controls"][1]["value"] == "yolo"


def test_a_change_ends_once_with_the_backends_answer() -> None:
    machine, codec = known()
    assert machine.set_control(7, "permission_mode", "yolo") == []
    assert codec.asked[-1] == (7, "permission_mode", "yolo")
    controls = machine.turn_state.controls
    assert controls.answered(ControlAnswered(8, None)) == []
    assert controls.answered(ControlAnswered(7, "no")) == [ControlSettled(7, ControlEnd(True, "no"))]
    assert controls.answered(ControlAnswered(7, None)) == []


def test_a_control_that_the_agent_does_not_have_is_told_and_nothing_is_written() -> None:
    machine, codec = known()
    assert machine.set_control(1, "temperature", "hot") == [ControlSettled(1, ControlEnd(is_known=False))]
    assert codec.asked == [("list",)]


@pytest.mark.parametrize(
    ("control", "value", "reason"),
    [
        ("permission_mode", "nope", "'nope'; it can be ask, yolo"),
        ("permission_mode", "x", "it can be ask, yolo"),
        ("permission_mode", True, "it can be ask, yolo"),
        ("model", "", "name of a model"),
        ("model", True, "name of a model"),
        ("model", "m" * 501, "at most 500"),
        ("model", "\udcff", "surrogate"),
        ("gone", "a", "not today"),
        ("switch", "on", "True or False"),
    ],
)
def test_a_value_that_cannot_be_is_refused_before_the_backend_sees_it(
    control: str, value: str | bool, reason: str
) -> None:
    machine, codec = known()
    (settled,) = machine.set_control(1, control, value)
    assert isinstance(settled, ControlSettled)
    assert settled.end is not None
    assert settled.end.is_known
    assert reason in (settled.end.reason or "")
    assert codec.asked == [("list",)]


def test_a_model_that_is_not_listed_is_passed_on() -> None:
    machine, codec = known()
    assert machine.set_control(1, "model", "own-finetune") == []
    assert codec.asked[-1] == (1, "model", "own-finetune")


def test_the_end_settles_all_that_is_open() -> None:
    machine, _ = turns()
    machine.list_controls()
    gone: list[Effect] = machine.gone("it crashed")
    assert ControlsKnown(None) in gone
    machine, _ = known()
    machine.set_control(3, "permission_mode", "yolo")
    machine.set_control(2, "permission_mode", "ask")
    assert [each for each in machine.gone("it crashed") if isinstance(each, ControlSettled)] == [
        ControlSettled(2, None),
        ControlSettled(3, None),
    ]
    assert machine.set_control(4, "permission_mode", "ask") == [ControlSettled(4, None)]
    assert machine.list_controls() == [ControlsKnown(None)]
