"""The mailbox: the one hard module.

Prior art. Trio's memory channel is correct and slow for this use: `send` and `async for` both run a full
checkpoint per item, 7 to 11 microseconds together. asyncio's queue is quicker because its `put` and `get` do
not yield while there is room; the price is a loop that starves its neighbours. Erlang's mailbox is unbounded
and scanned. This one takes trio's hand-off, asyncio's shortcut with a bound on it, and a second lane.

Three decisions make it quick without making it wrong.

1. *Paths, not checks.* The common case on either side is one comparison. A sender looks at `limit`: the
   capacity while the mailbox is open, and 0 when it is closed (or new), so that `len(queue) < limit` is false and the
   slow path finds out why. A receiver checks `credit`: the number of messages that it may still take before it must
   check for other things. Anything urgent (a stop, an interrupt, a system message, a timer) sets it to 0, and is
   therefore handled before the next user message, no matter how many are queued.
2. *A full checkpoint every `CHECKPOINT_EVERY` messages* on either side, when the side would not have blocked
   anyway. So no sender and no receiver can keep the loop for longer than that many messages. A sender's are counted
   over all mailboxes (`budget`): between two checkpoints of a task no other task runs, so one count is enough for all
   tasks. A receiver looks for a cancellation from outside more often, once in `LOOK_EVERY`. A checkpoint comes before
   the message is queued or taken: a cancelled `tell` has not sent, a cancelled `receive` has not lost anything. The
   end of the mailbox is a checkpoint too, each time it is reached.
3. *Hand-off, not retry.* A sender that finds the mailbox full parks with its message. The receiver that takes a message
   moves the oldest parked one into the queue and wakes its sender. The queue is full whenever a sender is parked, so no
   sender can overtake: order is kept for each sender, and senders are served first come, first served. A sender that
   was woken has sent, even if a cancellation arrives before it runs.

A wake-up carries no message: the receiver takes one, synchronously, when it runs. So a cancelled wake-up cannot lose a
message. One task receives; a second one is an error that is reported.

The system lane contains functions, not messages: the message of a death watch is made by the watcher's own function,
which must run (and fail) in the watcher's task. The capacity does not limit that lane. The actor's own watches do: it
has one entry for each actor that it watches. Timers need no lane at all, see `actors.timers`.

Code that Ctrl-C must not interrupt half-way (above all a wake-up and its bookkeeping) is protected from
`KeyboardInterrupt`, which Trio then raises at the main task's next checkpoint. The protection marks the code, and costs
nothing at run time.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import trio
from outcome import Error
from trio.lowlevel import enable_ki_protection

from actors.errors import ActorStopped, AlreadyReceiving, MailboxFull
from actors.timers import Timers

if TYPE_CHECKING:
    from actors.current import Running
    from actors.hooks import Hooks, TracedActor

M = TypeVar("M")
M_contra = TypeVar("M_contra", contravariant=True)

CHECKPOINT_EVERY = 64
"""At most this many messages are sent to, or taken from, a mailbox without a full checkpoint."""

LOOK_EVERY = 8
"""A receive loop that finds messages waiting looks for a cancellation from outside once in so many. Each look costs
half as much as a message does; the actor's own stop, interrupt and cancel are seen before the next message without
it.
"""

NO_QUEUE: deque[Any] = deque(maxlen=0)
"""What the queue is until there is a first message: a deque takes 760 bytes, and many actors have none yet."""

NOTHING: Any = object()
"""What `in_hand` is while no message is being handled, and what `receive` gives when there will be no more."""


class Overflow(enum.Enum):
    """What happens to a message for which there is no room."""

    BLOCK = "block"
    """The sender waits: backpressure. The right one unless losing messages is right."""
    REJECT = "reject"
    """The sender gets `MailboxFull`."""
    DROP_OLDEST = "drop_oldest"
    """The oldest queued message becomes a dead letter: only the newest matter."""
    DROP_NEWEST = "drop_newest"
    """The message itself becomes a dead letter: only the first matter."""


class Owner(Protocol[M_contra]):
    """The actor that a mailbox belongs to, as the mailbox sees it."""

    @property
    def ref(self) -> TracedActor:
        """What hooks get for it."""

    def about_to_block(self, task: trio.lowlevel.Task) -> Running | None:
        """A task is about to wait for room. Returns the actor whose task it is; raises if the wait could never end."""

    def receiving(self) -> None:
        """The first receive of this run of the actor's function."""

    def drained(self) -> None:
        """There is nothing more to receive, and the receiver is about to get that result."""

    def dropped(self, message: M_contra, why: str) -> None:
        """The overflow policy dropped a message."""


class Budget:
    """The number of messages that may still be sent, to any mailboxes, before the sender must run a full checkpoint."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = 0


budget = Budget()


class Mailbox(Generic[M]):
    """A bounded queue of user messages, and a lane for system messages that overtakes them."""

    __slots__ = (
        "_alarm", "_left", "accepted", "cancelling", "capacity", "credit", "dropped", "ending", "exit", "fresh",
        "hooks", "in_hand", "limit", "name", "notices", "open", "overflow", "owner", "parked", "queue", "reader",
        "rejected", "senders", "timers",
    )  # fmt: skip

    def __init__(
        self,
        name: str,
        capacity: int,
        overflow: Overflow,
        owner: Owner[M],
        hooks: Hooks | None = None,
    ) -> None:
        if capacity < 1:
            raise ValueError(f"a mailbox needs a capacity of at least 1, not {capacity!r}")
        self.name = name
        self.capacity = capacity
        self.overflow = overflow
        self.hooks = hooks
        self.queue = NO_QUEUE  # messages; pairs of message and token when traced
        self.notices: dict[object, Callable[[], M]] = {}  # by whom each is about, in order
        self.timers: Timers[M] | None = None  # most actors have none: see `own_timers`
        self.limit = 0  # until there is a queue
        self.credit = 0
        self._left = CHECKPOINT_EVERY  # what `credit` was when it was set to 0
        self.open = True  # the intake
        self.ending = False  # no more messages are returned, even if some are queued
        self.cancelling = False  # a cancellation is on its way to the receiver: no more messages before it
        self.exit: Any = None  # for the errors that senders get once it is closed
        self.in_hand: Any = NOTHING  # a message, or a `Batch` of them
        self.parked: trio.lowlevel.Task | None = None  # the receiver, while it waits
        # The task that received first in this run; set by the owner.
        self.reader: trio.lowlevel.Task | None = None
        self._alarm: trio.CancelScope | None = None  # what ends the receiver's wait when a timer is due
        self.senders: dict[trio.lowlevel.Task, Any] = {}
        self.owner: Owner[M] | None = owner  # `None` after the end: they would keep each other in memory
        self.fresh = True  # this run of the actor's function has not received yet
        self.accepted = 0
        self.dropped = 0
        self.rejected = 0

    # -- sending

    @enable_ki_protection
    def offer(self, message: M) -> bool:
        """Queue a message unless that has to wait: for room, or for a checkpoint. Errors are those of `put_nowait`."""
        if not budget.left or self._must_wait():
            return False
        budget.left -= 1
        if len(self.queue) < self.limit and self.hooks is None:  # the quick path of `Ref.tell`
            if self.parked is not None:
                self.wake()
            self.accepted += 1
            self.queue.append(message)
        else:
            self.put_nowait(message)
        return True

    @enable_ki_protection
    async def put(self, message: M) -> None:
        """Queue a message: the slow path of `Ref.tell`, which is documented there."""
        if not budget.left and not self._must_wait():
            await trio.lowlevel.checkpoint()
            budget.left = CHECKPOINT_EVERY
        if self.offer(message):
            return
        task = trio.lowlevel.current_task()
        assert self.owner is not None  # it is open
        sender = self.owner.about_to_block(task)
        self.senders[task] = self._entry(message)

        def abort(_: object) -> trio.lowlevel.Abort:
            del self.senders[task]
            return trio.lowlevel.Abort.SUCCEEDED

        try:
            await trio.lowlevel.wait_task_rescheduled(abort)
        finally:
            budget.left = CHECKPOINT_EVERY
            if sender is not None:
                sender.telling = None

    def _must_wait(self) -> bool:
        return self.open and self.overflow is Overflow.BLOCK and len(self.queue) >= self.capacity

    @enable_ki_protection
    def put_nowait(self, message: M) -> None:
        """Queue a message or raise: the slow path of `Ref.try_tell`."""
        if not self.open:
            raise ActorStopped(self.name, self.exit)
        if len(self.queue) >= self.capacity:
            if self.overflow is Overflow.DROP_NEWEST:
                self.accepted += 1
                self._drop(message, "dropped on arrival, the mailbox was full")
                return
            if self.overflow is not Overflow.DROP_OLDEST:
                self.rejected += 1
                raise MailboxFull(self.name, self.capacity)
            self._drop(self._message(self.queue.popleft()), "dropped as the oldest, the mailbox was full")
        self._accept(self._entry(message))

    @enable_ki_protection
    def notify(self, about: object, make: Callable[[], M]) -> None:
        """Queue a system message; `make` makes it, in the receiver's task. Never refused, never blocks.

        A waiting one with the same `about` is replaced.
        """
        self.notices[about] = make
        self.look_around()
        if self.parked is not None:
            self.wake()

    def forget(self, about: object) -> None:
        """Remove the system message about `about` if it has not been received yet."""
        self.notices.pop(about, None)

    @enable_ki_protection
    def close(self) -> None:
        """Close the intake: waiting and later senders get `ActorStopped`. Queued messages stay, timers end."""
        self.open = False
        if self.timers:
            self.timers.clear()
        self.limit = 0
        for task in self.senders:
            trio.lowlevel.reschedule(task, Error(ActorStopped(self.name, self.exit)))
        self.senders.clear()
        self.look_around()
        if self.parked is not None:
            self.wake()

    def _accept(self, entry: Any) -> None:
        if self.parked is not None:
            self.wake()
        if self.queue is NO_QUEUE:
            self.queue = deque()
            self.limit = self.capacity if self.open else 0
        self.accepted += 1
        self.queue.append(entry)

    def _drop(self, message: M, why: str) -> None:
        self.dropped += 1
        if self.owner is not None:
            self.owner.dropped(message, why)

    def _entry(self, message: M) -> Any:
        if self.hooks is None or self.owner is None:
            return message
        return (message, self.hooks.sent(self.owner.ref, message))

    def _message(self, entry: Any) -> M:
        message: M = entry if self.hooks is None else entry[0]
        return message

    # -- receiving

    def own_timers(self) -> Timers[M]:
        """The receiver's timers, made on first use."""
        if self.timers is None:
            self.timers = Timers(self._rearm)
        return self.timers

    @enable_ki_protection
    def _rearm(self) -> None:
        """A timer was started: a receiver that waits must not sleep past it."""
        self.look_around()
        if self.parked is None or self.timers is None:
            return
        if self._alarm is None:
            self.wake()
        else:
            self._alarm.deadline = self.timers.next_due()

    def look_around(self) -> None:
        """Make the receiver check for everything else before it takes its next user message."""
        if self.credit:
            self._left = self.credit
            self.credit = 0

    @enable_ki_protection
    def wake(self) -> None:
        """Let the receiver, which is parked, run."""
        assert self.parked is not None
        # Outside of Trio's thread, this raises before anything has changed.
        trio.lowlevel.reschedule(self.parked)
        self.parked = None

    def begin(self) -> None:
        """Begin a new run of the actor's function: drop the timers and watches of the last one."""
        self.cancelling = False
        self.in_hand = NOTHING
        self.parked = self.reader = None
        if self.timers:
            self.timers.clear()
        self.notices.clear()
        self.fresh = True
        self.look_around()

    @enable_ki_protection
    async def receive(self) -> M:
        """Take the next message: from the system lane first, then due timers and user messages in turns.

        Returns:
            The message, or `NOTHING` after an ordered stop was requested and no message is left.

        Raises:
            AlreadyReceiving: another task is waiting for this mailbox's next message.
        """
        if self.parked is not None:
            raise AlreadyReceiving(f"two tasks receive from actor {self.name!r}; a mailbox has one reader")
        self.put_down()
        if self.fresh:
            self.fresh = False
            if self.owner is not None:
                self.owner.receiving()
        has_yielded = False
        while True:
            if self.cancelling:
                await trio.lowlevel.checkpoint_if_cancelled()
            if self.ending:
                break
            if not self._left and (self.queue or self.notices or self.timers):
                await trio.lowlevel.checkpoint()
                self._left = CHECKPOINT_EVERY
                has_yielded = True
                continue
            if self.notices:
                return self._pick_up(self.notices.pop(next(iter(self.notices)))())
            if self.timers and self.open:
                due = self.timers.take(trio.current_time(), bool(self.queue))
                if due is not None:
                    return self._pick_up(due[0])
            if self.queue:
                entry = self.queue.popleft()
                if self.senders:
                    self._admit()
                if self.hooks is None:
                    return self._pick_up(entry)
                return self._pick_up(self._receive_traced(self.hooks, entry))
            if not self.open:
                break
            self._left = CHECKPOINT_EVERY  # parking is a full checkpoint
            self.parked = trio.lowlevel.current_task()
            if self.timers:
                await self._wait_for_timer()
            else:
                await trio.lowlevel.wait_task_rescheduled(self._unpark)
            has_yielded = True
        if self.owner is not None:
            self.owner.drained()
        if not has_yielded:
            await trio.lowlevel.checkpoint()
        nothing: M = NOTHING
        return nothing

    def take_now(self) -> M:
        """Take the next message, which must exist: for an actor without a task."""
        if self.notices:
            message = self.notices.pop(next(iter(self.notices)))()
        else:
            entry = self.queue.popleft()
            if self.senders:
                self._admit()
            message = entry if self.hooks is None else self._receive_traced(self.hooks, entry)
        self.in_hand = message
        return message

    def _receive_traced(self, hooks: Hooks, entry: Any) -> M:
        message: M = entry[0]
        if self.owner is not None:
            hooks.received(self.owner.ref, message, entry[1])
        return message

    @enable_ki_protection
    async def receive_batch(self, limit: int) -> list[M]:
        """Take at least one message, and up to `limit` user messages that are queued already.

        Returns an empty list when `receive` returns `NOTHING`.
        """
        if limit < 1:
            raise ValueError(f"a batch needs a limit of at least 1, not {limit!r}")
        first = await self.receive()
        if first is NOTHING:
            return []
        batch = Batch([first])
        self.in_hand = batch
        more = min(limit - 1, len(self.queue))
        if more and not self.notices and not self.timers:
            entries = [self.queue.popleft() for _ in range(more)]
            if self.hooks is not None:
                entries = [self._receive_traced(self.hooks, entry) for entry in entries]
            batch += entries
            self.credit = max(0, self.credit - more)
            self._left = max(0, self._left - more)
            if self.senders:
                self._admit()
        return batch

    def _unpark(self, _: object) -> trio.lowlevel.Abort:
        """The wait was cancelled. (A method, because a closure for each actor that waits would weigh more.)"""
        self.parked = None
        return trio.lowlevel.Abort.SUCCEEDED

    @enable_ki_protection
    async def _wait_for_timer(self) -> None:
        """Wait until there is something to look at, or until the next timer is due."""
        assert self.timers is not None
        try:
            with trio.CancelScope(deadline=self.timers.next_due()) as self._alarm:
                await trio.lowlevel.wait_task_rescheduled(self._unpark)
        finally:
            self._alarm = None

    def _pick_up(self, message: M) -> M:
        self.in_hand = message
        self._left -= 1
        if not (self.notices or self.timers or self.ending or self.cancelling):
            self.credit, self._left = self._left, 0
        return message

    def put_down(self) -> None:
        """Note that the message in hand was handled, or has failed."""
        if self.in_hand is not NOTHING:
            self.in_hand = NOTHING
            if self.hooks is not None:
                assert self.owner is not None  # it goes after its last message
                self.hooks.handled(self.owner.ref)

    @enable_ki_protection
    def _admit(self) -> None:
        """Move the messages of waiting senders, oldest first, into the free room, and wake the senders."""
        while self.senders and len(self.queue) < self.capacity:
            task = next(iter(self.senders))
            self._accept(self.senders.pop(task))
            trio.lowlevel.reschedule(task)

    # -- inspection from outside

    def messages(self) -> list[M]:
        """The user messages that are queued."""
        return [self._message(entry) for entry in self.queue]

    def messages_waiting(self) -> list[M]:
        """The user messages of the senders that wait for room."""
        return [self._message(entry) for entry in self.senders.values()]

    def messages_in_hand(self) -> list[M]:
        """The messages that were taken and are not finished: none, one, or a batch."""
        if self.in_hand is NOTHING:
            return []
        return list(self.in_hand) if isinstance(self.in_hand, Batch) else [self.in_hand]

    def clear(self) -> None:
        """At the end of the actor, close it if it is open and drop what is queued, which has become dead letters."""
        if self.open:
            self.close()
        if self.queue:
            self.queue.clear()
        if self.notices:
            self.notices.clear()
        self.timers = self.reader = None

    def __repr__(self) -> str:
        lane = f", {len(self.notices)} urgent" if self.notices else ""
        return (
            f"<Mailbox {self.name!r} {len(self.queue)}/{self.capacity}{lane}{'' if self.open else ' closed'}>"
        )


class Batch(list[M]):
    """A list of messages that are in hand together; distinct from a message that happens to be a list."""

    __slots__ = ()
