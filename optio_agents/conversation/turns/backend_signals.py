"""The effect of each signal of a backend on the turn state of its conversation: one rule for each, and their table.

Signals may come late, twice, swapped or never. So a rule first checks whether its signal still applies, and ignores it
if it is stale. A request is never stale: every request of the backend must be answered.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from optio_agents.conversation.codecs.base import (
    AgentTurnBegan,
    BackendStartFailed,
    BackgroundChanged,
    ControlAnswered,
    ControlsListed,
    Folded,
    InterruptAcknowledged,
    LineLost,
    PermissionAsked,
    QuestionAsked,
    Ready,
    Refused,
    RequestWithdrawn,
    SessionNamed,
    TurnBegan,
    TurnFinished,
)
from optio_agents.conversation.surface import PermissionDecision
from optio_agents.conversation.turns.effects import Effect, Receipted, SendEnded
from optio_agents.conversation.turns.turn_state import UNTOLD_END, Queued, RunningTurn, TurnState
from optio_agents.conversation.values import (
    Event,
    Fate,
    InterruptKind,
    InterruptReceipt,
    Origin,
    SendEnd,
    TurnStatus,
)

AGENT_TURN_EVENT = "x-optio-agent-turn"
"""The type of the event with which a turn begins that the agent began by itself."""

INTERRUPTED_UNSENT = "interrupted before it was sent"


def ready(turn_state: TurnState, signal: Ready) -> list[Effect]:
    """The backend accepts prompts now: waiting sends may begin."""
    if signal.session is not None:
        turn_state.session = signal.session
    turn_state.ready = True
    turn_state.begin_next()
    return []


def session_named(turn_state: TurnState, signal: SessionNamed) -> list[Effect]:
    """Remember the session's id, for resuming it."""
    turn_state.session = signal.session
    return []


def start_failed(turn_state: TurnState, signal: BackendStartFailed) -> list[Effect]:
    """The conversation ends before it began."""
    return turn_state.fail(f"the agent refused to start: {signal.reason}")


def turn_began(turn_state: TurnState, signal: TurnBegan) -> list[Effect]:
    """From here on an interrupt is effective. The backend itself may have begun the turn with steered messages."""
    out: list[Effect] = []
    adopted = [send for send in signal.sends if turn_state.steering.take(send) is not None]
    if adopted:
        # The backend runs messages that were sent to steer the previous turn; they come before what waits here.
        out += _end_untold(turn_state)
        interrupts = turn_state.steering.take_interrupts()
        turn = RunningTurn(signal.turn, adopted, interrupts, began=True)
        turn_state.running, turn_state.behind = turn, turn_state.running
        return out + turn_state.stop(turn) if interrupts else out
    known = turn_state.unended(signal.turn)
    if known is None:
        return out
    if known is turn_state.behind:
        out += _end_untold(turn_state)
    known.began = True
    if known.interrupting:
        # The interrupt came before the turn had begun and was lost: send it again.
        out += turn_state.stop(known)
    return out


def _end_untold(turn_state: TurnState) -> list[Effect]:
    """The backend works on another turn. It runs one at a time, so the running one has ended, and its end was lost."""
    turn = turn_state.running
    return [] if turn is None else turn_state.finish(turn, turn.result(TurnStatus.FAILED, error=UNTOLD_END))


def agent_turn_began(turn_state: TurnState, signal: AgentTurnBegan) -> list[Effect]:
    """The backend works on its own. A turn of ours that has not ended waits until that is over."""
    out: list[Effect] = []
    running = turn_state.running
    if running is not None and running.origin is Origin.AGENT:
        behind, turn_state.behind = turn_state.behind, None
        out += _end_untold(turn_state)
        running = behind
    turn_state.running = RunningTurn(signal.turn, [], origin=Origin.AGENT, began=True)
    turn_state.behind = running
    return [*out, Event({"type": AGENT_TURN_EVENT, "turn": signal.turn}, signal.turn)]


def turn_finished(turn_state: TurnState, signal: TurnFinished) -> list[Effect]:
    """A turn is over, and the next one begins."""
    turn = turn_state.unended(signal.turn)
    if turn is None:
        return []
    result = turn.result(signal.status, signal.text, signal.error, signal.raw, signal.outcome)
    out = turn_state.finish(turn, result)
    turn_state.begin_next()
    return out


def folded(turn_state: TurnState, signal: Folded) -> list[Effect]:
    """A send is part of another turn now, which may have ended already."""
    if (turn := turn_state.turn_of(signal.send)) is not None and turn.number != signal.turn:
        return _joined(turn_state, turn, signal.turn)
    if turn_state.steering.take(signal.send) is None:
        return []
    into = turn_state.unended(signal.turn)
    if into is not None:
        into.sends.append(signal.send)
        return []
    out = _folded_into_ended(turn_state, [signal.send], signal.turn)
    out += turn_state.steering.answer_interrupts(InterruptKind.FINISHED, turn_state.queued)
    turn_state.begin_next()
    return out


def _joined(turn_state: TurnState, turn: RunningTurn, number: int) -> list[Effect]:
    """Our prompt came after the backend had begun a turn on its own, and was merged into that one."""
    out = turn_state.remove(turn)
    into = turn_state.unended(number)
    if into is not None:
        into.sends += turn.sends
        into.interrupts += turn.interrupts
        out += turn.deadlines
        return out + turn_state.stop(into) if turn.interrupting and not into.interrupting else out
    out += _folded_into_ended(turn_state, turn.sends, number)
    receipt = InterruptReceipt(InterruptKind.FINISHED, None, turn_state.queued, turn.acknowledged)
    out += (Receipted(interrupt, receipt) for interrupt in turn.interrupts)
    turn_state.begin_next()
    return out


def _folded_into_ended(turn_state: TurnState, sends: list[int], number: int) -> list[Effect]:
    last = turn_state.last if turn_state.last is not None and turn_state.last.turn == number else None
    return [SendEnded(send, SendEnd(Fate.FOLDED, last)) for send in sends]


def refused(turn_state: TurnState, signal: Refused) -> list[Effect]:
    """The backend refused a steered message, or it never began our turn."""
    out: list[Effect] = []
    steered = turn_state.steering.take(signal.send)
    if steered is not None:
        out += _steer_refused(turn_state, signal, steered)
    elif (turn := turn_state.turn_of(signal.send)) is not None:
        out += turn_state.remove(turn)
        # There is no such turn, so requests that belong to it are cancelled with it.
        out += turn_state.requests.cancel_of(turn.number, "withdrawn")
        out += turn.refused(signal.reason, turn_state.queued)
    turn_state.begin_next()
    return out


def _steer_refused(turn_state: TurnState, signal: Refused, steered: Queued) -> list[Effect]:
    steering = turn_state.steering
    if signal.lost_race and turn_state.closed is None:
        if not steering.interrupts:
            turn_state.queue.appendleft(steered)
            return []
        # It would have been the next turn: that is stopped before it begins.
        end, kind = SendEnd(Fate.UNSENT, reason=INTERRUPTED_UNSENT), InterruptKind.INTERRUPTED
    else:
        end, kind = SendEnd(Fate.REJECTED, reason=signal.reason), InterruptKind.FINISHED
    return [SendEnded(signal.send, end), *steering.answer_interrupts(kind, turn_state.queued)]


def asked(turn_state: TurnState, signal: PermissionAsked | QuestionAsked) -> list[Effect]:
    """Open it for the owner, unless it belongs to a turn that is being stopped, or to a conversation that ends.

    A tool that is the owner's own function is allowed at once.
    """
    turn = turn_state.running
    about = signal.request if isinstance(signal, QuestionAsked) else signal
    stopping = turn is not None and turn.interrupting and about.turn == turn.number and about.asker is None
    if turn_state.closed is not None or stopping:
        turn_state.codec.cancel_request(signal.key)
        return []
    own = turn_state.codec.own_server
    if isinstance(signal, PermissionAsked) and own is not None and signal.server == own:
        turn_state.codec.decide(signal.key, PermissionDecision("allow"))
        return []
    return turn_state.requests.open(signal)


def request_withdrawn(turn_state: TurnState, signal: RequestWithdrawn) -> list[Effect]:
    """It needs no answer any more."""
    return turn_state.requests.withdraw(signal.key)


def background_changed(turn_state: TurnState, signal: BackgroundChanged) -> list[Effect]:
    """Remember the work: its end may begin a turn."""
    if turn_state.closed is None:
        turn_state.background = signal.tasks
    return []


def controls_listed(turn_state: TurnState, signal: ControlsListed) -> list[Effect]:
    """Known from now on."""
    return turn_state.controls.listed(signal)


def control_answered(turn_state: TurnState, signal: ControlAnswered) -> list[Effect]:
    """Settle the change of a control for its caller."""
    return turn_state.controls.answered(signal)


def line_lost(turn_state: TurnState, signal: LineLost) -> list[Effect]:
    """Count it, for the result of the turn."""
    if turn_state.running is not None:
        turn_state.running.lost_lines += 1
    return []


def interrupt_acknowledged(turn_state: TurnState, signal: InterruptAcknowledged) -> list[Effect]:
    """Remember it for the receipt."""
    if (turn := turn_state.unended(signal.turn)) is not None:
        turn.acknowledged = True
    return []


RULES: dict[type[Any], Callable[[TurnState, Any], list[Effect]]] = {
    Ready: ready,
    SessionNamed: session_named,
    BackendStartFailed: start_failed,
    TurnBegan: turn_began,
    AgentTurnBegan: agent_turn_began,
    TurnFinished: turn_finished,
    Folded: folded,
    Refused: refused,
    PermissionAsked: asked,
    QuestionAsked: asked,
    RequestWithdrawn: request_withdrawn,
    BackgroundChanged: background_changed,
    ControlsListed: controls_listed,
    ControlAnswered: control_answered,
    LineLost: line_lost,
    InterruptAcknowledged: interrupt_acknowledged,
}
