"""The queue beside a simulated agent: no message is lost, doubled, merged where it must not be, or reordered.

The agent has a queue of its own, takes messages up or throws them away, ends turns, refuses writes, and is replaced by
a new process, which forgets what waited in its queue. It tells honestly what became of a message.
"""

from __future__ import annotations

from typing import Any

from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from optio_agents.steering import BUSY_SEND_VALUES, NATIVE_QUEUE, BusySend
from optio_agents.steering.events import QUEUED_EVENT, REQUEUED_EVENT, TAKEN_EVENT
from optio_agents.steering.message_queue import Message, MessageQueue


class SteeredAgent(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.count = 0
        self.queue = MessageQueue(self.new_id)
        self.value: BusySend = "queues-to-end"
        self.works = False
        self.expected: list[str] = []  # ids that were accepted and have not reached the transcript, in order
        self.texts: dict[str, str] = {}
        self.agents_queue: list[str] = []  # ids that were written to an agent that works
        self.transcript: list[str] = []
        self.announced: set[str] = set()
        self.cutting: Message | None = None
        self.resetting = False

    def new_id(self) -> str:
        self.count += 1
        return f"m{self.count}"

    # What the owner of the queue does.

    def step(self, data: st.DataObject) -> None:
        """Write what is due, until a write fails."""
        while (write := self.queue.next_write(is_idle=not self.works, value=self.value)) is not None:
            self.read_events()
            ids = [message.id for message in write.messages]
            if data.draw(st.booleans(), label="the write fails"):
                self.queue.not_written()
                if write.line == "direct" and not write.messages[0].is_announced:
                    self.expected.remove(ids[0])  # its sender gets the error
                self.read_events()
                return
            self.check_write(write.text, write.uuid, ids, write.line)
            if write.line == "pending" and self.works:
                self.agents_queue += ids
            else:
                self.take_up(ids)
                if write.line == "pending":  # an idle agent starts with it at once, and says so
                    self.queue.observe(is_idle=False, turn_ended=False, state=(ids[0], "started"))
            self.works = True
            self.queue.written()
        self.read_events()

    def check_write(self, text: str, uuid: str | None, ids: list[str], line: str) -> None:
        parts = [self.texts[each] for each in ids]
        assert text in ("\n\n".join(parts), "\n\n".join(parts) + "\n\n")
        assert uuid in (ids[0], None)
        assert uuid is not None or line == "held"
        if line == "pending":
            assert len(ids) == 1
            assert text.endswith("\n\n")
            assert not self.agents_queue  # one at a time: the agent would merge two

    def take_up(self, ids: list[str]) -> None:
        assert self.expected[: len(ids)] == ids, (self.expected, ids)
        del self.expected[: len(ids)]
        self.transcript += ids

    def read_events(self) -> None:
        for event in self.queue.events:
            match event["type"]:
                case _ if event["type"] == QUEUED_EVENT:
                    assert event["text"] == self.texts[event["id"]]
                    self.announced.add(event["id"])
                case _ if event["type"] == REQUEUED_EVENT:
                    if event["id"] in self.texts:  # the queue's own decision, at a reset
                        old, new = event["id"], event["new_id"]
                        self.texts[new] = self.texts[old]
                        self.expected.insert(0, new)
                    self.announced.add(event["new_id"])
                case _ if event["type"] == TAKEN_EVENT:
                    assert set(event["ids"]) <= self.announced
        self.queue.events.clear()

    # What the user does.

    @rule(data=st.data(), text=st.sampled_from(["x", "y\n", "z\n\n"]))
    def sends(self, data: st.DataObject, text: str) -> None:
        message, direct = self.queue.send(text, is_idle=not self.works, value=self.value)
        self.texts[message.id] = text
        self.expected.append(message.id)
        assert (direct is None) == bool(self.queue.events)  # what waits is announced
        self.step(data)

    @precondition(lambda self: self.cutting is None)
    @rule(data=st.data(), text=st.sampled_from(["", "now"]))
    def cuts_in(self, data: st.DataObject, text: str) -> None:
        cut = self.queue.cut_in(text, is_idle=not self.works, value=self.value)
        if cut.message is not None:
            self.texts[cut.message.id] = text
            self.expected.append(cut.message.id)
        if cut.marks:
            self.queue.mark()
        if cut.ends_turn:
            self.queue.start_interrupt()
            self.cutting = cut.message or Message("none", "")
        elif cut.message is not None:
            self.queue.announce(cut.message)
            self.queue.flush()
        self.step(data)

    @precondition(lambda self: self.cutting is not None)
    @rule(data=st.data(), gives_up=st.booleans(), turn_ended=st.booleans())
    def ends_cutting_in(self, data: st.DataObject, gives_up: bool, turn_ended: bool) -> None:
        message, self.cutting = self.cutting, None
        assert message is not None
        if turn_ended:
            self.end_turn()
        self.queue.finish_interrupt()
        if gives_up:
            self.queue.withdraw(message)
            if message.id in self.expected:
                self.expected.remove(message.id)
        elif message.text:
            self.queue.announce(message)
            self.queue.flush()
        self.step(data)

    @rule(data=st.data(), number=st.integers(0, 3))
    def requeues(self, data: st.DataObject, number: int) -> None:
        ids = self.queue.requeue(
            [(f"old{each}", f"again {each}") for each in range(number)], value=self.value
        )
        self.texts.update({each: f"again {index}" for index, each in enumerate(ids)})
        # In front of what waits, behind what the agent has in its own queue, or is being replaced with.
        flying = len(self.on_its_way())
        held_first = bool(self.queue.held) and self.queue.held[0].id in ids
        at = flying + (len(self.queue.pending) if held_first else 0)
        self.expected[at:at] = ids
        self.step(data)

    @rule(data=st.data(), value=st.sampled_from(BUSY_SEND_VALUES))
    def changes_the_model(self, data: st.DataObject, value: BusySend) -> None:
        if value not in NATIVE_QUEUE and self.agents_queue:
            return  # the agent answers first
        self.value = value
        self.step(data)

    # What the agent does.

    @precondition(lambda self: self.agents_queue and not self.resetting)
    @rule(data=st.data())
    def takes_up_what_waits(self, data: st.DataObject) -> None:
        ids, self.agents_queue = self.agents_queue, []
        self.take_up(ids)
        self.queue.observe(is_idle=False, turn_ended=False, state=(ids[0], "started"))
        self.step(data)

    @precondition(lambda self: self.agents_queue and not self.resetting)
    @rule(data=st.data(), state=st.sampled_from(["cancelled", "discarded", "refused"]))
    def throws_away_what_waits(self, data: st.DataObject, state: str) -> None:
        (gone,), self.agents_queue = self.agents_queue, []
        self.expected.remove(gone)
        self.queue.observe(is_idle=False, turn_ended=False, state=(gone, state))
        self.step(data)

    @rule(data=st.data(), state=st.sampled_from([None, ("unknown", "started"), ("m1", "queued")]))
    def says_something(self, data: st.DataObject, state: tuple[str, str] | None) -> None:
        self.queue.observe(is_idle=not self.works, turn_ended=False, state=state)
        self.step(data)

    @precondition(lambda self: self.works and not self.resetting)
    @rule(data=st.data())
    def ends_its_turn(self, data: st.DataObject) -> None:
        self.end_turn()
        self.step(data)

    def end_turn(self) -> None:
        """A turn ends; what waited in the agent's own queue starts the next one."""
        if not self.works or self.resetting:
            return
        waiting, self.agents_queue = self.agents_queue, []
        self.take_up(waiting)
        self.works = bool(waiting)
        state = (waiting[0], "started") if waiting else None
        self.queue.observe(is_idle=not self.works, turn_ended=True, state=state)

    # Relaunches.

    @precondition(lambda self: not self.resetting)
    @rule(last_words=st.sampled_from([None, "started", "completed", "cancelled", "discarded"]))
    def process_dies(self, last_words: str | None) -> None:
        self.queue.begin_reset()
        self.resetting = True
        self.works = False
        waiting, self.agents_queue = self.agents_queue, []
        if waiting and last_words is not None:
            self.queue.observe(is_idle=True, turn_ended=True, state=(waiting[0], last_words))
            if last_words in ("started", "completed"):
                self.take_up(waiting)
            else:
                self.expected.remove(waiting[0])  # it comes back under another id
        else:
            self.queue.observe(is_idle=True, turn_ended=True, state=None)

    @precondition(lambda self: self.resetting)
    @rule(data=st.data())
    def process_is_replaced(self, data: st.DataObject) -> None:
        self.resetting = False
        self.queue.end_reset()
        self.read_events()
        self.step(data)

    def on_its_way(self) -> list[str]:
        """What is neither waiting nor in the transcript."""
        flying = [self.queue.in_flight.id] if self.queue.in_flight is not None else []
        direct = self.queue._direct
        return [
            *(each for each in flying if each in self.expected),
            *(m.id for m in (direct.messages if direct else ())),
        ]

    @invariant()
    def every_message_is_in_one_place(self) -> None:
        waiting = [message.id for message in (*self.queue.pending, *self.queue.held)]
        everywhere = [*self.on_its_way(), *waiting]
        assert everywhere == self.expected, (everywhere, self.expected)
        assert len(set(self.transcript)) == len(self.transcript)
        assert not set(self.transcript) & set(self.expected)

    def teardown(self) -> None:
        """Everything reaches the agent in the end, in order."""
        always: Any = AlwaysWorks()
        if self.cutting is not None:
            self.ends_cutting_in(always, False, False)
        if self.resetting:
            self.process_is_replaced(always)
        for _ in range(3 * len(self.expected) + 3):
            self.works = self.works or bool(self.agents_queue)
            self.end_turn()
            self.step(always)
        assert self.expected == []


class AlwaysWorks:
    """Stands in for Hypothesis's draws once the random part is over: no write fails any more."""

    def draw(self, _: Any, label: str = "") -> bool:
        return False


SteeredAgent.TestCase.settings = settings(max_examples=200, stateful_step_count=30)
TestSteeredAgent: Any = SteeredAgent.TestCase
