"""A conversation with the scripted program: `python -m benchmarks.conversation.ours trio|views|asyncio EVENTS`.

`views` is `trio` with the typed views of each event.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import trio

from optio_agents.conversation import Event, Text, claude, open_conversation, views_of
from optio_agents.conversation.from_asyncio import open_asyncio_conversation

AGENT = claude([sys.executable, str(Path(__file__).with_name("scripted_cli.py"))])
INTERRUPTS = 20


def has_text(event: Event) -> bool:
    """Whether it adds to the answer."""
    return bool(event.text)


def has_text_view(event: Event) -> bool:
    """The same, by its typed views."""
    return any(type(view) is Text for view in views_of(event))


async def in_trio(events: int, counts: Callable[[Event], bool] = has_text) -> tuple[float, float]:
    """Events per second, and the median seconds from an interrupt to the end of its turn."""
    async with open_conversation(AGENT, workdir=".") as conversation:
        await conversation.ask(f"make {events}")
        with conversation.events() as subscription:
            start = time.perf_counter()
            await conversation.send(str(events))
            count = 0
            async for event in subscription:
                count += counts(event)
                if count == events:
                    break
            elapsed = time.perf_counter() - start
        times = []
        with conversation.events() as subscription:
            for _ in range(INTERRUPTS):
                await conversation.send("hang")
                async for event in subscription:
                    if event.text:
                        break
                start = time.perf_counter()
                await conversation.interrupt()
                times.append(time.perf_counter() - start)
    return events / elapsed, statistics.median(times)


async def in_asyncio(events: int) -> tuple[float, float]:
    """The same under asyncio."""
    async with open_asyncio_conversation(AGENT, workdir=".") as conversation:
        await conversation.ask(f"make {events}")
        with conversation.events() as subscription:
            start = time.perf_counter()
            await conversation.send(str(events))
            count = 0
            async for event in subscription:
                count += bool(event.text)
                if count == events:
                    break
            elapsed = time.perf_counter() - start
        times = []
        with conversation.events() as subscription:
            for _ in range(INTERRUPTS):
                await conversation.send("hang")
                async for event in subscription:
                    if event.text:
                        break
                start = time.perf_counter()
                await conversation.interrupt()
                times.append(time.perf_counter() - start)
    return events / elapsed, statistics.median(times)


def main() -> None:
    """Measure in the world that is named, and print one JSON line."""
    world, events = sys.argv[1], int(sys.argv[2])
    if world == "asyncio":
        rate, seconds = asyncio.run(in_asyncio(events))
    else:
        rate, seconds = trio.run(in_trio, events, has_text_view if world == "views" else has_text)
    print(json.dumps({"events_per_second": round(rate), "interrupt_ms": round(1000 * seconds, 2)}))


if __name__ == "__main__":
    main()
