"""What a long session takes: a day of an agent that works steadily, and an hour of a busy one as fast as it goes.

Both print what they measured: `pytest -s tests/session/test_resources.py` gives the tables in docs/benchmarks.md.
"""

from __future__ import annotations

import gc
import math
import os
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from optio_agents import HookContext, SessionOptions, get_protocol, run_log_protocol_session
from optio_agents.hosts.local import LocalHost
from optio_agents.protocol.session import Ending, SessionOutcome
from tests.support.descriptors import open_descriptors

pytestmark = pytest.mark.slow

GROWTH_KIB = 4096
"""How much more memory the last tenth may take than the first."""


class CountingCtx:
    """A ctx that keeps nothing but how often it was called."""

    def __init__(self) -> None:
        self.calls = 0
        self.cancellation_flag = trio.Event()

    def should_continue(self) -> bool:
        return True

    def report_progress(self, percent: float | None, message: str | None = None, **_: Any) -> None:
        self.calls += 1

    async def need_attention(self, reason: str) -> None:
        await trio.lowlevel.checkpoint()
        self.calls += 1

    async def client_message(self, keyword: str, data: Any) -> None:
        await trio.lowlevel.checkpoint()
        self.calls += 1


@dataclass(frozen=True)
class Use:
    """What this process takes at a moment."""

    memory: int
    """Resident, in KiB."""
    descriptors: int
    threads: int
    disk: int
    """Bytes in files of ours that have no name: spools and copies."""

    @classmethod
    def now(cls) -> Use:
        gc.collect()
        disk = 0
        for name in open_descriptors():
            if os.readlink(f"/proc/self/fd/{name}").endswith("(deleted)"):
                disk += os.fstat(int(name)).st_size
        memory = int(Path("/proc/self/status").read_text().split("VmRSS:")[1].split()[0])
        return cls(memory, len(open_descriptors()), threading.active_count(), disk)


class Agent:
    """Writes a log with everything in it.

    Args:
        parts: how many parts it has. Between two parts `rest` is awaited.
    """

    def __init__(self, parts: int, lines: int, rest: Callable[[], Awaitable[None]]) -> None:
        self.parts = parts
        self.lines = lines
        self.rest = rest
        self.uses: list[Use] = []
        self.written = 0
        self.taken = 0
        self._answered = trio.Event()

    async def body(self, host: LocalHost, hook_ctx: HookContext) -> None:
        deliverable = Path(host.workdir, "deliverables/report")
        deliverable.write_bytes(b"x" * 20_000)
        with open(f"{host.workdir}/optio.log", "ab", buffering=0) as log:
            for part in range(self.parts):
                text = "".join(
                    f"STATUS: {line % 100}% part {part} line {line}\na line of output of part {part}\n"
                    for line in range(self.lines)
                )
                text += f'CLIENT_MESSAGE: part {{"number": {part}}}\nDELIVERABLE: deliverables/report\n'
                self.written += len(text)
                self._answered = trio.Event()
                log.write(text.encode())
                await self._answered.wait()  # everything before it has been handled
                await self.rest()
                if part % (self.parts // 10) == self.parts // 10 - 1:
                    self.uses.append(Use.now())
            log.write(b"DONE\n")
        await trio.sleep_forever()

    async def take(self, hook_ctx: HookContext, file: Any) -> None:
        self.taken += len(await file.read())

    async def hear(self, message: str) -> None:
        await trio.lowlevel.checkpoint()
        self._answered.set()

    async def run(self, taskdir: str) -> SessionOutcome:
        return await run_log_protocol_session(
            LocalHost(taskdir),
            CountingCtx(),
            body=self.body,
            on_deliverable_file=self.take,
            agent_sender=self.hear,
            protocol=get_protocol(client_messages=True),
            # A step in a thread takes real time, and the virtual clock would jump to its deadline meanwhile.
            options=SessionOptions(host_timeout=math.inf),
        )


def check(agent: Agent, outcome: SessionOutcome, what: str) -> None:
    assert outcome.ending is Ending.DONE
    assert outcome.deliverable_count == agent.parts
    assert agent.taken == agent.parts * 20_000
    assert outcome.problems == ()
    first, last = agent.uses[0], agent.uses[-1]
    print(
        f"\n{what}: {outcome.lines:,} lines, {agent.written / 1e6:.1f} MB of log, {agent.parts:,} deliverables"
    )
    print("| | after a tenth | at the end |\n|---|---|---|")
    print(f"| memory | {first.memory / 1024:.1f} MiB | {last.memory / 1024:.1f} MiB |")
    print(f"| descriptors | {first.descriptors} | {last.descriptors} |")
    print(f"| threads | {first.threads} | {last.threads} |")
    print(f"| disk, beyond the agent's own | {first.disk} bytes | {last.disk} bytes |")
    assert last.memory - first.memory < GROWTH_KIB
    assert (last.descriptors, last.disk) == (first.descriptors, 0)
    assert last.threads <= first.threads


async def test_a_day_of_an_agent_that_works_steadily(tmp_path: Path, autojump_clock: MockClock) -> None:
    """One part a minute, in virtual time."""
    agent = Agent(24 * 60, 5, lambda: trio.sleep(60))
    began = trio.current_time()
    outcome = await agent.run(str(tmp_path / "task"))
    assert trio.current_time() - began >= 24 * 3600
    check(agent, outcome, "24 hours of virtual time")


async def test_an_hour_of_a_busy_agent_at_full_speed(tmp_path: Path) -> None:
    """A thousand lines and a deliverable a second for an hour, written as fast as they are handled."""
    agent = Agent(3600, 500, trio.lowlevel.checkpoint)
    began = time.monotonic()
    outcome = await agent.run(str(tmp_path / "task"))
    check(agent, outcome, f"an hour's lines in {time.monotonic() - began:.0f} s")
