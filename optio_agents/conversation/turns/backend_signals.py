"""What each signal of a backend does to the turn_state of its conversation: one rule for each, and their table.

Signals may come late, twice, swapped or never, so a rule begins with the question whether its signal is still
about anything; what is stale is refused (a permission) or ignored (the rest).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from optio_agents.conversation.codecs.base import (
    BackendStartFailed,
    Folded,
    InterruptAcknowledged,
    PermissionAsked,
    PermissionWithdrawn,
    Ready,
    Refused,
    SessionNamed,
    TurnBegan,
    TurnFinished,
)
from optio_agents.conversation.turns.effects import Effect, SendEnded
from optio_agents.conversation.turns.running_turn import RunningTurn
from optio_agents.conversation.turns.turn_state import Queued, TurnState
from optio_agents.conversation.values import Fate, InterruptKind, SendEnd, TurnResult, TurnStatus

INTERRUPTED_UNSENT = "interrupted before it was sent"


def ready(turn_state: TurnState, signal: Ready) -> list[Effect]:
    """The backend takes prompts now: what waits may begin."""
    if signal.session is not None:
        turn_state.session = signal.session
    turn_state.ready = True
    turn_state.begin_next()
    return []


def session_named(turn_state: TurnState, signal: SessionNamed) -> list[Effect]:
    """Remembered, for whoever resumes it."""
    turn_state.session = signal.session
    return []


def start_failed(turn_state: TurnState, signal: BackendStartFailed) -> list[Effect]:
    """The conversation ends before it began."""
    return turn_state.fail(f"the agent refused to start: {signal.reason}")


def turn_began(turn_state: TurnState, signal: TurnBegan) -> list[Effect]:
    """An interrupt reaches the turn from here on. The backend may have begun it by itself, with what was steered."""
    out: list[Effect] = []
    turn = turn_state.running
    adopted = [send for send in signal.sends if turn_state.steering.take(send) is not None]
    if adopted:
        # The backend runs what was meant to steer the turn before; that comes before what waits here.
        if turn is not None:
            # It runs one turn at a time, so that one is over, whatever became of the news.
            error = "the agent began another turn and never said how this one ended"
            out += turn_state.finish(turn, TurnResult(turn.number, TurnStatus.FAILED, error=error))
        interrupts = turn_state.steering.take_interrupts()
        turn_state.running = RunningTurn(signal.turn, adopted, interrupts)
        if interrupts:
            out += turn_state.stop(turn_state.running)
    elif turn is not None and turn.number == signal.turn and turn.interrupting:
        # The interrupt came before the turn had begun, and an interrupt of nothing is lost: say it again.
        turn_state.codec.interrupt()
    return out


def turn_finished(turn_state: TurnState, signal: TurnFinished) -> list[Effect]:
    """The running turn is over, and the next one begins."""
    turn = turn_state.running
    if turn is None or turn.number != signal.turn:
        return []
    result = TurnResult(turn.number, signal.status, signal.text, signal.error, signal.raw)
    out = turn_state.finish(turn, result)
    turn_state.begin_next()
    return out


def folded(turn_state: TurnState, signal: Folded) -> list[Effect]:
    """What was steered is part of a turn now, which may have ended already."""
    if turn_state.steering.take(signal.send) is None:
        return []
    if turn_state.running is not None and turn_state.running.number == signal.turn:
        turn_state.running.sends.append(signal.send)
        return []
    last = turn_state.last if turn_state.last is not None and turn_state.last.turn == signal.turn else None
    out: list[Effect] = [SendEnded(signal.send, SendEnd(Fate.FOLDED, last))]
    out += turn_state.steering.answer_interrupts(InterruptKind.FINISHED, turn_state.queued)
    turn_state.begin_next()
    return out


def refused(turn_state: TurnState, signal: Refused) -> list[Effect]:
    """Either what was steered did not get in, or the running turn never was one."""
    out: list[Effect] = []
    turn = turn_state.running
    text = turn_state.steering.take(signal.send)
    if text is not None:
        out += _steer_refused(turn_state, signal, text)
    elif turn is not None and turn.sends[0] == signal.send:
        turn_state.running = None
        # There is no such turn, so whatever claimed to belong to it goes with it.
        out += turn_state.permissions.cancel("withdrawn")
        out += turn.refused(signal.reason, turn_state.queued)
    turn_state.begin_next()
    return out


def _steer_refused(turn_state: TurnState, signal: Refused, text: str) -> list[Effect]:
    steering = turn_state.steering
    if signal.lost_race and turn_state.closed is None:
        if not steering.interrupts:
            turn_state.queue.appendleft(Queued(signal.send, text))
            return []
        # It would have been the next turn: that is stopped before it begins.
        end, kind = SendEnd(Fate.UNSENT, reason=INTERRUPTED_UNSENT), InterruptKind.INTERRUPTED
    else:
        end, kind = SendEnd(Fate.REJECTED, reason=signal.reason), InterruptKind.FINISHED
    return [SendEnded(signal.send, end), *steering.answer_interrupts(kind, turn_state.queued)]


def permission_asked(turn_state: TurnState, signal: PermissionAsked) -> list[Effect]:
    """Open it for whoever decides, unless its turn is over or being stopped."""
    turn = turn_state.running
    if signal.key in turn_state.permissions:
        return []
    if turn is None or signal.turn != turn.number or turn.interrupting or turn_state.closed is not None:
        turn_state.codec.cancel_permission(signal.key)
        return []
    return turn_state.permissions.open(signal)


def permission_withdrawn(turn_state: TurnState, signal: PermissionWithdrawn) -> list[Effect]:
    """Nobody needs to decide it any more."""
    return turn_state.permissions.withdraw(signal.key)


def interrupt_acknowledged(turn_state: TurnState, signal: InterruptAcknowledged) -> list[Effect]:
    """Remembered for the receipt."""
    if turn_state.running is not None and turn_state.running.number == signal.turn:
        turn_state.running.acknowledged = True
    return []


RULES: dict[type[Any], Callable[[TurnState, Any], list[Effect]]] = {
    Ready: ready,
    SessionNamed: session_named,
    BackendStartFailed: start_failed,
    TurnBegan: turn_began,
    TurnFinished: turn_finished,
    Folded: folded,
    Refused: refused,
    PermissionAsked: permission_asked,
    PermissionWithdrawn: permission_withdrawn,
    InterruptAcknowledged: interrupt_acknowledged,
}
