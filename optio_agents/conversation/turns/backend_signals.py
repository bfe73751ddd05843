"""What each signal of a backend does to the standing of its conversation: one rule for each, and their table.

Signals may come late, twice, swapped or never, so a rule begins with the question whether its signal is still
about anything; what is stale is refused (a permission) or ignored (the rest).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from optio_agents.conversation.codecs.base import (
    Folded,
    InterruptAcknowledged,
    PermissionAsked,
    PermissionWithdrawn,
    Ready,
    Refused,
    SessionNamed,
    StartFailed,
    TurnBegan,
    TurnFinished,
)
from optio_agents.conversation.turns.effects import Effect, SendEnded
from optio_agents.conversation.turns.running_turn import RunningTurn
from optio_agents.conversation.turns.turn_state import Queued, Standing
from optio_agents.conversation.values import Fate, InterruptKind, SendEnd, TurnResult, TurnStatus

INTERRUPTED_UNSENT = "interrupted before it was sent"


def ready(standing: Standing, signal: Ready) -> list[Effect]:
    """The backend takes prompts now: what waits may begin."""
    if signal.session is not None:
        standing.session = signal.session
    standing.ready = True
    standing.begin_next()
    return []


def session_named(standing: Standing, signal: SessionNamed) -> list[Effect]:
    """Remembered, for whoever resumes it."""
    standing.session = signal.session
    return []


def start_failed(standing: Standing, signal: StartFailed) -> list[Effect]:
    """The conversation ends before it began."""
    return standing.fail(f"the agent refused to start: {signal.reason}")


def turn_began(standing: Standing, signal: TurnBegan) -> list[Effect]:
    """An interrupt reaches the turn from here on. The backend may have begun it by itself, with what was steered."""
    out: list[Effect] = []
    turn = standing.running
    adopted = [send for send in signal.sends if standing.steering.take(send) is not None]
    if adopted:
        # The backend runs what was meant to steer the turn before; that comes before what waits here.
        if turn is not None:
            # It runs one turn at a time, so that one is over, whatever became of the news.
            error = "the agent began another turn and never said how this one ended"
            out += standing.finish(turn, TurnResult(turn.number, TurnStatus.FAILED, error=error))
        interrupts = standing.steering.take_interrupts()
        standing.running = RunningTurn(signal.turn, adopted, interrupts)
        if interrupts:
            out += standing.stop(standing.running)
    elif turn is not None and turn.number == signal.turn and turn.interrupting:
        # The interrupt came before the turn had begun, and an interrupt of nothing is lost: say it again.
        standing.codec.interrupt()
    return out


def turn_finished(standing: Standing, signal: TurnFinished) -> list[Effect]:
    """The running turn is over, and the next one begins."""
    turn = standing.running
    if turn is None or turn.number != signal.turn:
        return []
    result = TurnResult(turn.number, signal.status, signal.text, signal.error, signal.raw)
    out = standing.finish(turn, result)
    standing.begin_next()
    return out


def folded(standing: Standing, signal: Folded) -> list[Effect]:
    """What was steered is part of a turn now, which may have ended already."""
    if standing.steering.take(signal.send) is None:
        return []
    if standing.running is not None and standing.running.number == signal.turn:
        standing.running.sends.append(signal.send)
        return []
    last = standing.last if standing.last is not None and standing.last.turn == signal.turn else None
    out: list[Effect] = [SendEnded(signal.send, SendEnd(Fate.FOLDED, last))]
    out += standing.steering.answer_interrupts(InterruptKind.FINISHED, standing.queued)
    standing.begin_next()
    return out


def refused(standing: Standing, signal: Refused) -> list[Effect]:
    """Either what was steered did not get in, or the running turn never was one."""
    out: list[Effect] = []
    turn = standing.running
    text = standing.steering.take(signal.send)
    if text is not None:
        out += _steer_refused(standing, signal, text)
    elif turn is not None and turn.sends[0] == signal.send:
        standing.running = None
        # There is no such turn, so whatever claimed to belong to it goes with it.
        out += standing.permissions.cancel("withdrawn")
        out += turn.refused(signal.reason, standing.queued)
    standing.begin_next()
    return out


def _steer_refused(standing: Standing, signal: Refused, text: str) -> list[Effect]:
    steering = standing.steering
    if signal.lost_race and standing.closed is None:
        if not steering.interrupts:
            standing.queue.appendleft(Queued(signal.send, text))
            return []
        # It would have been the next turn: that is stopped before it begins.
        end, kind = SendEnd(Fate.UNSENT, reason=INTERRUPTED_UNSENT), InterruptKind.INTERRUPTED
    else:
        end, kind = SendEnd(Fate.REJECTED, reason=signal.reason), InterruptKind.FINISHED
    return [SendEnded(signal.send, end), *steering.answer_interrupts(kind, standing.queued)]


def permission_asked(standing: Standing, signal: PermissionAsked) -> list[Effect]:
    """Open it for whoever decides, unless its turn is over or being stopped."""
    turn = standing.running
    if signal.key in standing.permissions:
        return []
    if turn is None or signal.turn != turn.number or turn.interrupting or standing.closed is not None:
        standing.codec.cancel_permission(signal.key)
        return []
    return standing.permissions.open(signal)


def permission_withdrawn(standing: Standing, signal: PermissionWithdrawn) -> list[Effect]:
    """Nobody needs to decide it any more."""
    return standing.permissions.withdraw(signal.key)


def interrupt_acknowledged(standing: Standing, signal: InterruptAcknowledged) -> list[Effect]:
    """Remembered for the receipt."""
    if standing.running is not None and standing.running.number == signal.turn:
        standing.running.acknowledged = True
    return []


RULES: dict[type[Any], Callable[[Standing, Any], list[Effect]]] = {
    Ready: ready,
    SessionNamed: session_named,
    StartFailed: start_failed,
    TurnBegan: turn_began,
    TurnFinished: turn_finished,
    Folded: folded,
    Refused: refused,
    PermissionAsked: permission_asked,
    PermissionWithdrawn: permission_withdrawn,
    InterruptAcknowledged: interrupt_acknowledged,
}
