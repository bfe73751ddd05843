"""Publish and subscribe: each message goes to all subscribers, each of which bounds what waits for it by its mailbox.

A topic is an actor without a task that watches its subscribers, so one that ends is removed in the same step.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from actors.errors import ActorStopped, MailboxFull
from actors.inline_handles import InlineMe
from actors.inline_spec import inline
from actors.ref import Ref
from actors.supervisor import Supervisor

M = TypeVar("M")


@dataclass(frozen=True, slots=True)
class _SubscriberEnded:
    ref: Ref[Any]


class Topic(Generic[M]):
    """Subscribers that receive the same messages. Made by `start_topic`.

    A message reaches those that are subscribed when it is published. What one sender publishes arrives in its order.
    """

    def __init__(self) -> None:
        self._subscribers: dict[Ref[M], None] = {}  # in the order of their subscriptions
        self._me: InlineMe[Any]
        self._ref: Ref[Any]

    def subscribe(self, ref: Ref[M]) -> None:
        """Let `ref` receive what is published from now on, until it ends. Again is no mistake.

        Raises:
            ActorStopped: it, or the topic, has ended.
        """
        for each in (self._ref, ref):
            if each.exit is not None:
                raise ActorStopped(each.name, each.exit)
        if ref not in self._subscribers:
            self._subscribers[ref] = None
            self._me.watch(ref, lambda exit: _SubscriberEnded(ref))

    def unsubscribe(self, ref: Ref[M]) -> bool:
        """Send it no more. What is in its mailbox stays there. Returns whether it was subscribed."""
        if ref not in self._subscribers:
            return False
        del self._subscribers[ref]
        self._me.unwatch(ref)
        return True

    async def publish(self, message: M) -> None:
        """Send to each subscriber, and wait for room where there is none: the slowest one sets the pace.

        Those with room receive it first. A subscriber whose policy is to reject or to drop is never waited for. If the
        call is cancelled while it waits, some have received the message and others have not.

        Raises:
            SelfTell, TellCycle: the publisher would wait for itself: see `Ref.tell`.
        """
        for ref in self.try_publish(message):
            if ref in self._subscribers:
                with suppress(
                    ActorStopped, MailboxFull
                ):  # it stops meanwhile, or rejects what it has no room for
                    await ref.tell(message)

    def try_publish(self, message: M) -> tuple[Ref[M], ...]:
        """Send to each subscriber that has room. Returns those that had none and missed the message."""
        missed: list[Ref[M]] = []
        for ref in list(self._subscribers):
            try:
                with suppress(ActorStopped):  # it takes no more messages and is about to end
                    ref.try_tell(message)
            except MailboxFull:
                missed.append(ref)
        return tuple(missed)

    def __contains__(self, ref: object) -> bool:
        return ref in self._subscribers

    def __len__(self) -> int:
        return len(self._subscribers)

    def _handle(self, gone: _SubscriberEnded) -> None:
        self._subscribers.pop(gone.ref, None)


def _set_up(me: InlineMe[Any], topic: Topic[Any]) -> Callable[[Any], None]:
    topic._me = me
    return topic._handle


async def start_topic(supervisor: Supervisor, *, name: str = "topic") -> Topic[Any]:
    """Start a topic as a child of `supervisor`: `prices: Topic[Price] = await start_topic(supervisor)`.

    Raises:
        NameTaken: a child of that name is alive.
        SupervisorClosed: the supervisor is not open, or is being left.
    """
    topic: Topic[Any] = Topic()
    topic._ref = await supervisor.start(inline(_set_up, topic), name=name)
    return topic
