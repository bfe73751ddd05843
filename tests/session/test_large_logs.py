"""Large logs and many sessions: each line once, memory that does not follow the log, idleness that costs nothing."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from benchmarks.sessions.logs import CALLER, DELIVERABLE, MIXED, PLAIN, STATUS, Logs, Mix
from benchmarks.sessions.rivals import Rival, ours
from optio_agents import HookContext, get_protocol, run_log_protocol_session
from optio_agents.hosts.base import LogLost, LogPosition, LogReader, Take, Window
from optio_agents.hosts.local import LocalHost
from optio_agents.protocol.session import Ending, SessionOptions
from tests.support.session import RecordingCtx

BOUND = 16.0
"""MiB of resident memory above idle, for every log."""

PATIENCE = 120.0
"""Seconds of real time after which a measured process is taken to hang."""

WORLDS = pytest.mark.parametrize("rival", ours(), ids=lambda rival: rival.name)


def append(host: LocalHost, text: str) -> None:
    with Path(host.workdir, "optio.log").open("a") as log:
        log.write(text)


@dataclass
class Losses:
    """When readers fail: at random, `left` times in all, of which `now` may come in this minute."""

    chance: random.Random
    left: int
    now: int = 0

    def maybe(self) -> None:
        if self.left and self.now and self.chance.random() < 0.5:
            self.left -= 1
            self.now -= 1
            raise LogLost("lost, as this test wants it")


class LosingReader:
    """A reader that fails before or after some of its reads: what it had in hand then was not handed out."""

    def __init__(self, reader: LogReader, losses: Losses) -> None:
        self._reader = reader
        self._losses = losses

    async def read(self, take: Take | None = None) -> Window | None:
        def lossy_take(window: Window) -> bool:
            assert take is not None
            self._losses.maybe()
            taken = take(window)
            self._losses.maybe()
            return taken

        self._losses.maybe()
        window = await self._reader.read(take and lossy_take)
        self._losses.maybe()
        return window

    def finish(self) -> None:
        self._reader.finish()


class LosingHost(LocalHost):
    """A local host whose readers fail."""

    def __init__(self, taskdir: str, losses: Losses) -> None:
        super().__init__(taskdir)
        self.losses = losses

    @asynccontextmanager
    async def open_log(
        self, position: LogPosition, *, settled: Callable[[bytes], bool]
    ) -> AsyncIterator[LogReader]:
        async with super().open_log(position, settled=settled) as reader:
            yield LosingReader(reader, self.losses)


async def test_a_reader_that_is_lost_a_hundred_times_hands_out_each_line_once(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    losses = Losses(random.Random(seed), left=100)
    host, ctx = LosingHost(str(tmp_path), losses), RecordingCtx()
    written: list[str] = []

    async def body(host: LosingHost, hook_ctx: HookContext) -> None:
        while losses.left:
            losses.now = 3  # more than five within a minute, and the session gives up
            written.extend(f"line {len(written) + number}" for number in range(20))
            append(host, "".join(f"STATUS: {line}\n" for line in written[-20:]))
            await trio.sleep(61)
        append(host, "DONE\n")
        await trio.sleep_forever()

    outcome = await run_log_protocol_session(host, ctx, body=body, options=SessionOptions(progress="every"))
    assert outcome.ending is Ending.DONE
    assert [message for message in ctx.messages if message.startswith("line")] == written


async def test_sixty_thousand_spaces_take_linear_time(tmp_path: Path) -> None:
    spaces = " " * 60_000
    lines = [
        f"{keyword}:{spaces}x" for keyword in ("DELIVERABLE", "ATTENTION", "STATUS", "CALLER_MESSAGE", "")
    ]
    lines += [
        f"{keyword}:x{spaces}y" for keyword in ("DELIVERABLE", "ATTENTION", "STATUS", "CALLER_MESSAGE", "")
    ]
    heard: list[Any] = []

    async def on_caller_message(hook_ctx: HookContext, keyword: str, data: Any) -> None:
        heard.append(data)

    async def body(host: LocalHost, hook_ctx: HookContext) -> None:
        append(host, "".join(f"{line}\n{line}{spaces}\n" for line in lines))
        append(host, f'CALLER_MESSAGE:{spaces}key{" " * 5_000}{{"a": 1}}\nDONE\n')
        await trio.sleep_forever()

    with trio.fail_after(PATIENCE):  # a quadratic pattern takes hours
        outcome = await run_log_protocol_session(
            LocalHost(str(tmp_path)),
            RecordingCtx(),
            body=body,
            on_caller_message=on_caller_message,
            protocol=get_protocol(caller_messages=True),
        )
    assert outcome.ending is Ending.DONE
    assert outcome.lines == 2 * len(lines) + 2
    assert heard == [{"a": 1}]


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Logs:
    return Logs(tmp_path_factory.mktemp("logs"))


@WORLDS
@pytest.mark.parametrize(
    ("mix", "megabytes"),
    [(PLAIN, 32), (STATUS, 32), (MIXED, 32), (DELIVERABLE, 1), (CALLER, 2)],
    ids=lambda value: value.name if isinstance(value, Mix) else "",
)
def test_memory_does_not_follow_the_log(rival: Rival, logs: Logs, mix: Mix, megabytes: int) -> None:
    log = logs.get(mix, megabytes)
    answer = rival.probe(
        "throughput",
        timeout=PATIENCE,
        log=log.path,
        memory=True,
        deliverables=mix.deliverables,
        caller_messages=mix.caller_messages,
    )
    assert answer["error"] is None
    assert answer["peak"] < BOUND
    assert answer["deliverables"] == (log.deliverables if mix is DELIVERABLE else 0)
    assert answer["caller_messages"] == (log.lines - 1 if mix is CALLER else 0)


@WORLDS
def test_memory_does_not_follow_a_line(rival: Rival, logs: Logs) -> None:
    answer = rival.probe(
        "throughput", timeout=PATIENCE, log=logs.one_line(32 * 1024 * 1024).path, memory=True
    )
    assert answer["error"] is None
    assert answer["peak"] < BOUND


@WORLDS
@pytest.mark.parametrize(("mix", "megabytes"), [(STATUS, 32), (CALLER, 2)], ids=["status", "messages"])
def test_memory_does_not_follow_what_waits_behind_a_stuck_callback(
    rival: Rival, logs: Logs, mix: Mix, megabytes: int
) -> None:
    log = logs.get(mix, megabytes, first=b"CALLER_MESSAGE: stuck 1\n", last=b"ATTENTION: all was read\n")
    answer = rival.probe(
        "throughput", timeout=PATIENCE, log=log.path, memory=True, caller_messages=True, stuck=True
    )
    assert answer["error"] is None
    assert answer["calls"]["attention"] == 1
    assert answer["peak"] < BOUND


@WORLDS
def test_three_hundred_idle_sessions_do_nothing_and_hold_one_descriptor_each(rival: Rival) -> None:
    answer = rival.probe("idle", timeout=PATIENCE, count=300, seconds=1.0)
    assert answer["children"] == 0
    assert answer["descriptors"] <= 300 + 10, "one each, and what a loop and a Trio run need"
    assert answer["wake_ups"] < 10, "only the looking itself"


@WORLDS
def test_two_hundred_sessions_at_once_end_well(rival: Rival) -> None:
    answer = rival.probe("crowd", timeout=PATIENCE, count=200, at_once=True, lines=100)
    assert answer["errors"] == []
    assert answer["well"] == 200
