"""What one conversation owns, and what each message of its mailbox does. No waiting happens here.

The turn rules decide (`turns.py`); this carries out: bytes to the outbox, events to the subscribers,
ends to those who wait for them.
"""

from __future__ import annotations

from typing import Any

from trio_util import AsyncValue

from actors import Timers
from optio_agents.conversation import commands
from optio_agents.conversation.codecs.base import Codec
from optio_agents.conversation.codecs.json_lines import UNPARSEABLE
from optio_agents.conversation.options import ConversationOptions
from optio_agents.conversation.outbox import Outbox
from optio_agents.conversation.permission_dispatch import PermissionDispatcher
from optio_agents.conversation.promises import PendingInterrupt, Promise, Sent
from optio_agents.conversation.states import ObservedState
from optio_agents.conversation.subscribers import Subscribers
from optio_agents.conversation.turns.effects import (
    Effect,
    EndBackend,
    InterruptStarted,
    Offered,
    Receipted,
    SendEnded,
    Settled,
    TurnEnded,
)
from optio_agents.conversation.turns.owner_commands import Turns
from optio_agents.conversation.turns.turn_state import TurnState
from optio_agents.conversation.values import Event, Fate, SendEnd, State, TurnResult

FIRST_WORDS = 5
"""How many lines that are no JSON are kept from before an agent is ready: its usage text, its complaint."""


class Core:
    """The state of one conversation. Changed by its actor only."""

    def __init__(self, codec: Codec, options: ConversationOptions) -> None:
        self.turn_state = TurnState(codec)
        self.turns = Turns(self.turn_state)
        self.options = options
        self.outbox = Outbox(options.outbox_bytes)
        self.events: Subscribers[Event] = Subscribers(options.backlog_events, options.backlog_bytes)
        self.results: Subscribers[TurnResult] = Subscribers(options.backlog_events, options.backlog_bytes)
        self.dispatcher: PermissionDispatcher | None = None
        self.state = ObservedState()
        self.running: Any = AsyncValue(False)
        self.ending: Promise[EndBackend] = Promise()
        """Settled when the agent must be ended; its owner waits for it."""
        self.over: Promise[str] = Promise()
        """Settled, with the reason, when everything has ended."""
        self.unsent: list[str] = []
        self.first_words: list[str] = []
        self._sents: dict[int, Sent] = {}
        self._interrupts: dict[int, PendingInterrupt] = {}

    @property
    def waiting(self) -> int:
        """How many sends have not ended."""
        return len(self._sents)

    def accept(self, sent: Sent) -> None:
        """It is on its way to the actor: from here on it ends exactly once."""
        self._sents[sent.number] = sent

    def forget(self, sent: Sent) -> None:
        """It did not get into the mailbox."""
        self._sents.pop(sent.number, None)

    def start(self, timers: Timers[Any]) -> None:
        """Begin: the first words to the agent, the deadline for its answer."""
        timers.start("start", self.options.start_seconds, commands.StartExpired())
        self._perform(self.turns.start(), timers)

    def handle(self, message: commands.Command, timers: Timers[Any]) -> None:
        """Do what one message says."""
        turns = self.turns
        match message:
            case commands.Heard(data):
                self._perform(turns.receive(data), timers, len(data))
            case commands.Send(sent):
                self._perform(turns.send(sent.number, sent.text), timers)
            case commands.Steer(sent):
                self._perform(turns.steer(sent.number, sent.text), timers)
            case commands.StopAndSend(sent, interrupt):
                self._interrupts[interrupt.number] = interrupt
                effects = turns.stop_and_send(sent.number, sent.text, interrupt.number, interrupt.seconds)
                self._perform(effects, timers)
            case commands.Interrupt(interrupt):
                self._interrupts[interrupt.number] = interrupt
                self._perform(turns.interrupt(interrupt.number, interrupt.seconds), timers)
            case commands.Withdraw(sent, done):
                self._perform(turns.withdraw(sent.number), timers)
                done.settle(sent.end is not None and sent.end.fate is Fate.UNSENT)
            case commands.GiveUp(sent, interrupt):
                self._interrupts[interrupt.number] = interrupt
                effects = turns.withdraw_or_interrupt(sent.number, interrupt.number, interrupt.seconds)
                self._perform(effects, timers)
            case commands.Decide(permission, decision, done):
                effects = turns.decide(permission, decision)
                self._perform(effects, timers)
                done.settle(bool(effects))
            case commands.InterruptExpired(interrupted):
                self._perform(turns.interrupt_expired(interrupted), timers)
            case commands.StartExpired():
                if self.turn_state.state is State.STARTING:
                    reason = f"the agent was not ready after {self.options.start_seconds:g} s"
                    self._perform(turns.fail(reason), timers)
            case commands.Probe(done):
                done.settle(True)
            case commands.Close():
                self._perform(turns.close(), timers)
            case commands.Gone(how):
                self.abandon(how, timers)

    def abandon(self, how: str, timers: Timers[Any] | None = None) -> None:
        """The agent is gone, or nobody looks after it any more: everything that is open ends now. Idempotent."""
        if not self.turn_state.over:
            self._perform(self.turns.gone(how), timers)
        self.events.end()
        self.results.end()
        self.ending.settle(EndBackend(False, how))
        self.over.settle(how)

    def unhandled(self, message: commands.Command) -> None:
        """A message that the actor did not come to: whoever waits for it learns that it was not done."""
        reason = self.turn_state.closed or "the conversation has ended"
        match message:
            case commands.Send(sent) | commands.Steer(sent):
                self._end_send(sent.number, SendEnd(Fate.UNSENT, reason=reason))
            case commands.StopAndSend(sent, interrupt):
                self._end_send(sent.number, SendEnd(Fate.UNSENT, reason=reason))
                interrupt.receipt.settle(None)
            case commands.Interrupt(interrupt) | commands.GiveUp(_, interrupt):
                interrupt.receipt.settle(None)
            case commands.Withdraw(_, done) | commands.Decide(_, _, done) | commands.Probe(done):
                done.settle(False)
            case _:
                pass

    def publish_own(self, kind: str, **fields: Any) -> None:
        """Publish an event of ours."""
        self.events.publish([Event({"type": f"x-optio-{kind}", **fields}, self.turn_state.turn)])

    def _perform(self, effects: list[Effect], timers: Timers[Any] | None, size: int = 0) -> None:
        batch: list[Event] = []
        for effect in effects:
            if type(effect) is Event:
                batch.append(effect)
            else:
                self._do(effect, timers)
        if batch:
            if self.state.now is State.STARTING:
                self._note_first_words(batch)
            self.events.publish(batch, size)
        if not self.outbox.put(self.turn_state.codec.take_output()):
            limit = self.options.outbox_bytes
            reason = f"the agent does not read its input: more than {limit} bytes wait to be written to it"
            self._perform(self.turns.fail(reason), timers)
        self.state.show(self.turn_state.state)
        self.running.value = self.turn_state.turn is not None

    def _do(self, effect: Effect, timers: Timers[Any] | None) -> None:
        match effect:
            case SendEnded(number, end):
                self._end_send(number, end)
            case TurnEnded(result):
                self.results.publish([result])
            case Receipted(number, receipt):
                interrupt = self._interrupts.pop(number, None)
                if interrupt is not None:
                    interrupt.receipt.settle(receipt)
            case InterruptStarted(number, seconds):
                if timers is not None:
                    timers.start(("interrupt", number), seconds, commands.InterruptExpired(number))
            case Offered(permission, request):
                if self.dispatcher is not None:
                    self.dispatcher.offer(permission, request)
            case Settled(permission):
                if self.dispatcher is not None:
                    self.dispatcher.settle(permission)
            case EndBackend():
                self.ending.settle(effect)

    def _end_send(self, number: int, end: SendEnd) -> None:
        sent = self._sents.pop(number, None)
        if sent is not None:
            if end.fate is Fate.UNSENT and self.turn_state.closed is not None:
                self.unsent.append(sent.text)
            sent.settle(end)

    def _note_first_words(self, batch: list[Event]) -> None:
        for event in batch:
            if event.raw.get("type") == UNPARSEABLE and len(self.first_words) < FIRST_WORDS:
                self.first_words.append(event.raw["line"])
