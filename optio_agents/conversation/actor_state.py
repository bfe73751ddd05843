"""The actor of a conversation: its state, the effect of each message of its mailbox, and its other tasks.

```
 agent ──stdout──> listen ──Heard──> converse (the actor: Core) ──> subscribers, waiters, request dispatcher
   ^                                    │  ^
   └──stdin── Outbox.write_to <─────────┘  └── the owner's commands
   └──ended by── end_when_asked <── Core.ending
```

The turn rules decide (`turns/`). `Core` carries out their effects and never waits: it passes bytes to the outbox,
events to the subscribers, and ends to their waiters. `listen` waits for slow subscribers.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import trio
from trio_util import AsyncValue

import actors
from actors import Timers
from optio_agents.conversation import commands
from optio_agents.conversation.codecs.base import Codec
from optio_agents.conversation.codecs.json_lines import UNPARSEABLE
from optio_agents.conversation.codecs.weight import weight_of
from optio_agents.conversation.controls import ControlEnd
from optio_agents.conversation.options import ConversationOptions
from optio_agents.conversation.outbox import Outbox
from optio_agents.conversation.promises import PendingInterrupt, Promise, Sent
from optio_agents.conversation.request_dispatch import RequestDispatcher
from optio_agents.conversation.states import ObservedState
from optio_agents.conversation.subscribers import Subscribers, dropped_event, keeps_all, keeps_event
from optio_agents.conversation.transport import Transport
from optio_agents.conversation.turns.effects import (
    ControlSettled,
    ControlsKnown,
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
from optio_agents.conversation.values import ConversationState, Event, Fate, SendEnd, TurnResult
from optio_agents.session_controls import SessionControl

MAILBOX_CAPACITY = 256

FIRST_WORDS = 5
"""How many lines that are no JSON are kept from before an agent is ready: its usage text, its complaint."""


class Core:
    """The state of one conversation. Changed by its actor only."""

    def __init__(self, codec: Codec, options: ConversationOptions) -> None:
        self.turn_state = TurnState(codec)
        self.turns = Turns(self.turn_state)
        self.options = options
        self.outbox = Outbox(options.outbox_bytes)
        limits = options.backlog_events, options.backlog_bytes
        self.events: Subscribers[Event] = Subscribers(
            *limits, keeps=keeps_event, gap=dropped_event, patience=options.stuck_seconds
        )
        self.results: Subscribers[TurnResult] = Subscribers(
            *limits, keeps=keeps_all, patience=options.stuck_seconds
        )
        self.dispatcher: RequestDispatcher | None = None
        self.state = ObservedState()
        self.running: Any = AsyncValue(False)
        self.background: Any = AsyncValue(())
        """The `BackgroundTask`s that are open."""
        self.ending: Promise[EndBackend] = Promise()
        """Settled when the agent must be ended; its owner waits for it."""
        self.over: Promise[str] = Promise()
        """Settled, with the reason, when everything has ended."""
        self.unsent: list[str] = []
        self.first_words: list[str] = []
        self._sents: dict[int, Sent] = {}
        self._interrupts: dict[int, PendingInterrupt] = {}
        self._listings: list[Promise[tuple[SessionControl, ...] | None]] = []
        self._changes: dict[int, Promise[ControlEnd | None]] = {}
        self._heard = 0  # the weight of what was heard since the last batch of events

    @property
    def waiting(self) -> int:
        """The number of sends that have not ended."""
        return len(self._sents)

    def accept(self, sent: Sent) -> None:
        """Register a send that was put into the mailbox: from now on it ends exactly once."""
        self._sents[sent.number] = sent

    def forget(self, sent: Sent) -> None:
        """Remove a send that did not get into the mailbox."""
        self._sents.pop(sent.number, None)

    def start(self, timers: Timers[Any]) -> None:
        """Begin: send the first bytes to the agent, and start the deadline for its answer."""
        timers.start("start", self.options.start_seconds, commands.StartExpired())
        self._perform(self.turns.start(), timers)

    def handle(self, message: commands.Command, timers: Timers[Any]) -> None:
        """Handle one message."""
        turns = self.turns
        match message:
            case commands.Heard(data):
                self._heard += weight_of(data)
                self._perform(turns.receive(data), timers)
            case commands.Send(sent):
                self._perform(turns.send(sent.number, sent.text, sent.extras), timers)
            case commands.Steer(sent):
                self._perform(turns.steer(sent.number, sent.text, sent.extras), timers)
            case commands.StopAndSend(sent, interrupt):
                self._interrupts[interrupt.number] = interrupt
                effects = turns.stop_and_send(
                    sent.number, sent.text, interrupt.number, interrupt.seconds, sent.extras
                )
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
            case commands.AnswerRequest(question, answer, done):
                effects = turns.answer(question, answer)
                self._perform(effects, timers)
                done.settle(bool(effects))
            case commands.ListControls(listing):
                self._listings.append(listing)
                self._perform(turns.list_controls(), timers)
            case commands.SetControl(change, control_id, value, set_done):
                self._changes[change] = set_done
                self._perform(turns.set_control(change, control_id, value), timers)
            case commands.InterruptExpired(interrupted):
                self._perform(turns.interrupt_expired(interrupted), timers)
            case commands.StartExpired():
                if self.turn_state.state is ConversationState.STARTING:
                    reason = f"the agent was not ready after {self.options.start_seconds:g} s"
                    self._perform(turns.fail(reason), timers)
            case commands.StateProbe(done):
                done.settle(True)
            case commands.Close():
                self._perform(turns.close(), timers)
            case commands.Gone(how):
                self.abandon(how, timers)

    def abandon(self, how: str, timers: Timers[Any] | None = None) -> None:
        """The agent is gone, or its tasks were cancelled: end everything that is open. Idempotent."""
        if not self.turn_state.over:
            self._perform(self.turns.gone(how), timers)
        self.events.end()
        self.results.end()
        self.ending.settle(EndBackend(False, how))
        self.over.settle(how)

    def unhandled(self, message: commands.Command) -> None:
        """Settle a message that the actor did not handle: its waiter learns that it was not done."""
        reason = self.turn_state.closed or "the conversation has ended"
        match message:
            case commands.Send(sent) | commands.Steer(sent):
                self._end_send(sent.number, SendEnd(Fate.UNSENT, reason=reason))
            case commands.StopAndSend(sent, interrupt):
                self._end_send(sent.number, SendEnd(Fate.UNSENT, reason=reason))
                interrupt.receipt.settle(None)
            case commands.Interrupt(interrupt) | commands.GiveUp(_, interrupt):
                interrupt.receipt.settle(None)
            case commands.Withdraw(_, done) | commands.StateProbe(done):
                done.settle(False)
            case commands.Decide(_, _, done) | commands.AnswerRequest(_, _, done):
                done.settle(False)
            case commands.ListControls(listing):
                listing.settle(None)
            case commands.SetControl(_, _, _, set_done):
                set_done.settle(None)
            case _:
                pass

    def publish_own(self, kind: str, **fields: Any) -> None:
        """Publish an event of ours."""
        self.events.publish([Event({"type": f"x-optio-{kind}", **fields}, self.turn_state.turn)])

    async def room(self) -> None:
        """Wait for subscribers that are behind, as long as they make progress."""
        await self.events.room()
        await self.results.room()

    def _perform(self, effects: list[Effect], timers: Timers[Any] | None) -> None:
        batch: list[Event] = []
        for effect in effects:
            if type(effect) is Event:
                batch.append(effect)
            else:
                self._do(effect, timers)
        if batch:
            if self.state.now is ConversationState.STARTING:
                self._note_first_words(batch)
            self.events.publish(batch, self._heard)
            self._heard = 0
        if not self.outbox.put(self.turn_state.codec.take_output()):
            limit = self.options.outbox_bytes
            reason = f"the agent does not read its input: more than {limit} bytes wait to be written to it"
            self._perform(self.turns.fail(reason), timers)
        self.state.show(self.turn_state.state)
        self.running.value = self.turn_state.turn is not None
        self.background.value = self.turn_state.background

    def _do(self, effect: Effect, timers: Timers[Any] | None) -> None:
        match effect:
            case SendEnded(number, end):
                self._end_send(number, end)
            case TurnEnded(result):
                self.results.publish([result], weight_of(result.text))
            case Receipted(number, receipt):
                interrupt = self._interrupts.pop(number, None)
                if interrupt is not None:
                    interrupt.receipt.settle(receipt)
            case InterruptStarted(number, seconds):
                if timers is not None:
                    timers.start(("interrupt", number), seconds, commands.InterruptExpired(number))
            case Offered(number, request):
                if self.dispatcher is not None:
                    self.dispatcher.offer(number, request)
            case Settled(number):
                if self.dispatcher is not None:
                    self.dispatcher.settle(number)
            case ControlsKnown(controls):
                listings, self._listings = self._listings, []
                for listing in listings:
                    listing.settle(controls)
            case ControlSettled(change, control_end):
                waiting = self._changes.pop(change, None)
                if waiting is not None:
                    waiting.settle(control_end)
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


async def converse(me: actors.Me[commands.Command], core: Core) -> None:
    """The actor: it handles one message at a time and never waits in between. It ends when the agent is gone."""
    core.start(me.timers)
    me.ready()
    async for message in me:
        core.handle(message, me.timers)
        if core.turn_state.over:
            return


async def listen(transport: Transport, core: Core, ref: actors.Ref[commands.Command]) -> None:
    """Pass the agent's output to the actor, as fast as the subscribers take it, and finally that the agent is gone."""
    with suppress(actors.ActorStopped):
        while data := await transport.receive():
            await ref.tell(commands.Heard(data))
            await core.room()
        await ref.tell(commands.Heard(b""))
        # Without its output it cannot be used, whether or not it has exited.
        await transport.end(ask=True)
        await ref.tell(commands.Gone(await transport.wait()))


async def end_when_asked(transport: Transport, core: Core, ref: actors.Ref[commands.Command]) -> None:
    """End the agent when the conversation requests it, and tell the actor that it is gone."""
    request = await core.ending.wait()
    if request.ask:
        # The agent may still obey the interrupt that was just written; then the turn ends as interrupted.
        with trio.move_on_after(core.options.stop_seconds):
            await core.outbox.flushed()
            await core.running.wait_value(False)
    await transport.end(ask=request.ask)
    with suppress(actors.ActorStopped):
        await ref.tell(commands.Gone(await transport.wait()))
