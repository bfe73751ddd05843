"""claude-agent-sdk's client with the scripted program, by its public interface: `peer.py CLI EVENTS`.

Runs in an environment of its own, where nothing of this project is installed.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import statistics
import sys
import time
from typing import Any

INTERRUPTS = 20


async def measure(cli: str, events: int) -> tuple[float, float]:
    """Events per second, and the median seconds from an interrupt to the end of its turn."""
    sdk: Any = importlib.import_module("claude_agent_sdk")
    result_message, stream_event = (
        sdk.ResultMessage,
        importlib.import_module("claude_agent_sdk.types").StreamEvent,
    )
    options = sdk.ClaudeAgentOptions(cli_path=cli, include_partial_messages=True)
    async with sdk.ClaudeSDKClient(options) as client:
        await client.query(f"make {events}")
        async for _ in client.receive_response():
            pass
        start = time.perf_counter()
        await client.query(str(events))
        count = 0
        async for message in client.receive_messages():
            count += isinstance(message, stream_event)
            if isinstance(message, result_message):
                break
        elapsed = time.perf_counter() - start
        assert count == events, f"{count} of {events}"
        times = []
        for _ in range(INTERRUPTS):
            await client.query("hang")
            async for message in client.receive_messages():
                if isinstance(message, stream_event):
                    break
            start = time.perf_counter()
            await client.interrupt()
            async for message in client.receive_messages():
                if isinstance(message, result_message):
                    break
            times.append(time.perf_counter() - start)
    return events / elapsed, statistics.median(times)


def main() -> None:
    """Measure, and print one JSON line."""
    rate, seconds = asyncio.run(measure(sys.argv[1], int(sys.argv[2])))
    print(json.dumps({"events_per_second": round(rate), "interrupt_ms": round(1000 * seconds, 2)}))


if __name__ == "__main__":
    main()
