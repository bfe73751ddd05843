"""The life of an actor as a table of states and steps. The code uses it; the guide's diagram is made from it."""

from __future__ import annotations

import enum


class State(enum.Enum):
    """The states of an actor. A handle (`Ref`) may be used in every state."""

    __hash__ = object.__hash__  # members are singletons, and `Enum`'s own hash is written in Python

    STARTING = "starting"
    """Its function runs and is not ready yet; messages are accepted and wait."""
    RUNNING = "running"
    """Ready: it handles messages or waits for them."""
    STOPPING = "stopping"
    """Its intake is closed; it drains its mailbox and cleans up, within the stop's deadline."""
    PAUSING = "pausing"
    """A sibling failed and both are restarted together: it ends its handler, its mailbox stays open."""
    RESTING = "resting"
    """Its function has ended and will run again; messages are accepted and wait."""
    ENDED = "ended"
    """It is over. Messages are refused."""


class Step(enum.Enum):
    """The causes of state changes."""

    __hash__ = object.__hash__

    READY = "ready"
    INTERRUPT = "interrupt"
    STOP = "stop"
    CANCEL = "cancel"
    PAUSE = "pause"
    REST = "rest"
    RESTART = "restart"
    END = "end"


TRANSITIONS: dict[tuple[State, Step], State] = {
    (State.STARTING, Step.READY): State.RUNNING,
    (State.STARTING, Step.STOP): State.STOPPING,
    (State.STARTING, Step.CANCEL): State.STOPPING,
    (State.STARTING, Step.PAUSE): State.PAUSING,
    (State.STARTING, Step.REST): State.RESTING,
    (State.STARTING, Step.END): State.ENDED,
    (State.RUNNING, Step.INTERRUPT): State.RUNNING,
    (State.RUNNING, Step.STOP): State.STOPPING,
    (State.RUNNING, Step.CANCEL): State.STOPPING,
    (State.RUNNING, Step.PAUSE): State.PAUSING,
    (State.RUNNING, Step.REST): State.RESTING,
    (State.RUNNING, Step.END): State.ENDED,
    (State.STOPPING, Step.READY): State.STOPPING,
    (State.STOPPING, Step.INTERRUPT): State.STOPPING,
    (State.STOPPING, Step.STOP): State.STOPPING,
    (State.STOPPING, Step.CANCEL): State.STOPPING,
    (State.STOPPING, Step.END): State.ENDED,
    (State.PAUSING, Step.READY): State.PAUSING,
    (State.PAUSING, Step.INTERRUPT): State.PAUSING,
    (State.PAUSING, Step.STOP): State.STOPPING,
    (State.PAUSING, Step.CANCEL): State.STOPPING,
    (State.PAUSING, Step.REST): State.RESTING,
    (State.PAUSING, Step.END): State.ENDED,
    (State.RESTING, Step.RESTART): State.STARTING,
    (State.RESTING, Step.STOP): State.STOPPING,
    (State.RESTING, Step.CANCEL): State.STOPPING,
    (State.RESTING, Step.END): State.ENDED,
}
"""A pair that is missing here cannot happen: `advance` raises on it, which is a bug of the runtime."""


def advance(state: State, step: Step) -> State:
    """The state after `step`. Raises `AssertionError` for a step that is not in the table."""
    try:
        return TRANSITIONS[state, step]
    except KeyError:
        raise AssertionError(f"bug in actors: an actor that is {state.value} cannot {step.value}") from None


def mermaid() -> str:
    """Draw the table as a mermaid state diagram."""
    arrows: dict[tuple[State, State], list[str]] = {}
    for (before, step), after in TRANSITIONS.items():
        arrows.setdefault((before, after), []).append(step.value)
    lines = ["stateDiagram-v2", f"    [*] --> {State.STARTING.value}"]
    lines += [f"    {a.value} --> {b.value}: {', '.join(steps)}" for (a, b), steps in arrows.items()]
    return "\n".join([*lines, f"    {State.ENDED.value} --> [*]"])
