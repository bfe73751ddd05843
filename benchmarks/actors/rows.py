"""What is measured: one row for each, the same for every system."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.actors.clock import Lap

Measure = Callable[[int], Lap]
"""Does the row's deed so many times; returns how long, without the set-up and the tear-down."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row. `count` deeds are timed in each round (fewer for systems whose `scale` is below 1)."""

    key: str
    title: str
    count: int


ROWS = (
    Row("tell", "tell: one sender to one actor, capacity 64, until all are handled", 20_000),
    Row("ask", "ask with a deadline, one after another", 1_000),
    Row("fan_in", "fan-in: 100 senders to one actor, capacity 64", 10_000),
    Row("ring", "ring of 100 actors: one hop", 4_000),
    Row("spawn", "spawn, wait until ready, stop, wait for the end", 400),
    Row("restart", "restart after a failure, until it answers again", 300),
    Row("cancel", "mass cancel: 10,000 idle actors, each", 10_000),
    Row("stop_all", "leaving a block of 1,000 idle actors, each", 1_000),
    Row("timers", "tell to an actor with 10,000 timers", 20_000),
    Row("inline", "try_tell to an actor without a task, beside a method call", 30_000),
    Row("inline_tell", "the same with an awaited tell", 30_000),
)

SENDERS = 100
RING = 100
CAPACITY = 64
TIMERS = 10_000
