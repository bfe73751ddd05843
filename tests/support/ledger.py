"""Book-keeping for the tests that disturb actors everywhere: what became of each message?"""

from __future__ import annotations

from collections import Counter
from typing import Any

import trio

import actors
from actors.testing import InjectedFault


class Ledger:
    """Records what was sent, begun, ended and buried, and checks that each message had exactly one fate."""

    def __init__(self) -> None:
        self.sent: list[Any] = []
        self.unknown: list[Any] = []
        self.begun: list[Any] = []
        self.ended: list[Any] = []
        self.buried: list[Any] = []
        self.refs: list[actors.Ref[Any]] = []
        self.answers: list[object] = []

    def bury(self, letter: actors.DeadLetter) -> None:
        self.buried.append(letter.message)

    async def send(self, ref: actors.Ref[Any], message: Any) -> None:
        """Tell, and note whether it was accepted. A stopped actor is none of the sender's business here."""
        try:
            await ref.tell(message)
        except InjectedFault:
            self.unknown.append(message)
            raise
        except actors.ActorStopped:
            return
        self.sent.append(message)

    async def ask(self, ref: actors.Ref[Any], number: int, timeout: float = 5.0) -> None:
        """Ask; every way in which an ask may end is noted."""

        def make(reply: actors.Reply[int]) -> tuple[int, actors.Reply[int]]:
            return number, reply

        try:
            answer: int = await ref.ask(make, timeout=timeout)
            self.answers.append(answer)
        except actors.ActorError as error:
            self.answers.append(error)
        except trio.Cancelled:
            self.answers.append("cancelled")
            raise

    async def handle(self, me: actors.Me[Any]) -> None:
        """An actor's loop: begin a message, wait a little, end it. Answers questions."""
        async for message in me:
            self.begun.append(message)
            await trio.sleep(0.01)
            if isinstance(message, tuple):
                message[1].set(message[0])
            self.ended.append(message)

    def check(self) -> None:
        """No message lost without a dead letter, none handled twice, none reordered; no task left waiting."""
        begun, ended, buried = (Counter(map(_key, log)) for log in (self.begun, self.ended, self.buried))
        assert all(count == 1 for count in (begun | ended | buried).values()), "something happened twice"
        for message in map(_key, self.sent):
            assert ended[message] + buried[message] == 1, f"{message!r} has no fate, or two"
        assert begun - ended <= buried, "a handler was cut off without a dead letter"
        known = Counter(map(_key, self.sent)) + Counter(map(_key, self.unknown))
        told = [message for message in begun + buried if isinstance(message, int)]
        assert not [message for message in told if message not in known], "an unsent message arrived"
        for queue in {message // 1000 for message in begun if isinstance(message, int)}:
            order = [m for m in self.begun if isinstance(m, int) and m // 1000 == queue]
            assert order == sorted(order), f"messages of sender {queue} were reordered"
        for ref in self.refs:
            assert ref.exit is not None, f"{ref!r} was left behind"
            statistics = ref.statistics()
            assert statistics.asks_open == statistics.senders_waiting == statistics.queued == 0
            assert statistics.accepted == statistics.taken + statistics.dropped + statistics.unhandled


def _key(message: Any) -> Any:
    return ("question", message[0]) if isinstance(message, tuple) else message
