"""Pykka: one thread for each actor, an unbounded inbox."""

from __future__ import annotations

import threading
from typing import Any

import pykka

from benchmarks.actors.clock import Lap, Stopwatch
from benchmarks.actors.rows import RING, SENDERS, Measure


class PykkaCounter(pykka.ThreadingActor):  # type: ignore[misc]
    """Counts its messages, and returns the count."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def on_receive(self, message: Any) -> Any:
        if message == "count":
            return self.count
        self.count += 1
        return message


def _tell(n: int) -> Lap:
    ref = PykkaCounter.start()
    watch = Stopwatch()
    for number in range(n):
        ref.tell(number)
    assert ref.ask("count") == n
    lap = watch.lap()
    ref.stop()
    return lap


def _ask(n: int) -> Lap:
    ref = PykkaCounter.start()
    watch = Stopwatch()
    for number in range(n):
        ref.ask(number, timeout=5.0)
    lap = watch.lap()
    ref.stop()
    return lap


def _fan_in(n: int) -> Lap:
    ref = PykkaCounter.start()

    def send() -> None:
        for number in range(n // SENDERS):
            ref.tell(number)

    threads = [threading.Thread(target=send) for _ in range(SENDERS)]
    watch = Stopwatch()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ref.ask("count") == n
    lap = watch.lap()
    ref.stop()
    return lap


class PykkaMember(pykka.ThreadingActor):  # type: ignore[misc]
    """Passes on what it gets."""

    def __init__(self, done: threading.Event) -> None:
        super().__init__()
        self.done = done
        self.following: Any = None

    def on_receive(self, message: Any) -> Any:
        if not isinstance(message, int):
            self.following = message
        elif message == 0:
            self.done.set()
        else:
            self.following.tell(message - 1)


def _ring(n: int) -> Lap:
    done = threading.Event()
    refs = [PykkaMember.start(done) for _ in range(RING)]
    for place, ref in enumerate(refs):
        ref.ask(refs[(place + 1) % RING])
    watch = Stopwatch()
    refs[0].tell(n)
    done.wait()
    lap = watch.lap()
    for ref in refs:
        ref.stop()
    return lap


def _spawn(n: int) -> Lap:
    watch = Stopwatch()
    for _ in range(n):
        PykkaCounter.start().stop()
    return watch.lap()


def populate(n: int, then: Any) -> None:
    """Have `n` idle actors while `then` runs."""
    refs = [PykkaCounter.start() for _ in range(n)]
    then()
    for ref in refs:
        ref.stop()


MEASURES: dict[str, Measure] = {"tell": _tell, "ask": _ask, "fan_in": _fan_in, "ring": _ring, "spawn": _spawn}
