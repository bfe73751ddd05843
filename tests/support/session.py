"""Parts of a session for tests: a ctx that records, a host in memory, a way to run a session over both."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import trio

from optio_agents.hosts.base import LogLost, LogPosition, Take, Window
from optio_agents.protocol.rejections import DeliverableRejected, RejectionKind


class RecordingCtx:
    """What a session needs of optio's ctx, recording every call."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, tuple[Any, ...]]] = []
        self.cancellation_flag = trio.Event()
        self.on_call: Callable[[str, tuple[Any, ...]], None] = lambda name, args: None

    def should_continue(self) -> bool:
        return not self.cancellation_flag.is_set()

    def report_progress(self, percent: float | None, message: str | None = None) -> None:
        self._record("progress", percent, message)

    async def request_browser_open(self, url: str) -> None:
        await trio.lowlevel.checkpoint()
        self._record("browser", url)

    async def need_attention(self, reason: str) -> None:
        await trio.lowlevel.checkpoint()
        self._record("attention", reason)

    async def client_message(self, keyword: str, data: Any) -> None:
        await trio.lowlevel.checkpoint()
        self._record("client", keyword, data)

    def _record(self, name: str, *args: Any) -> None:
        self.calls.append((name, args))
        self.on_call(name, args)

    def of(self, name: str) -> list[tuple[Any, ...]]:
        """The arguments of each call of `name`."""
        return [args for kind, args in self.calls if kind == name]

    @property
    def messages(self) -> list[str]:
        """The texts of all progress."""
        return [args[1] for args in self.of("progress") if args[1] is not None]


@dataclass
class MemoryHost:
    """A host in memory: no file, no clock, every wait an event. `log` is what the agent has written."""

    workdir: str = "/memory/workdir"
    log: bytearray = field(default_factory=bytearray)
    deliverables: dict[str, bytes] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    readers: int = 0
    open_deliverables: int = 0
    lose_reader_at: set[int] = field(default_factory=set)
    """Offsets at which reading fails, once each."""

    def __post_init__(self) -> None:
        self._changed = trio.Event()

    def write(self, *lines: str) -> None:
        """Append whole lines, as an agent would."""
        self.log += "".join(f"{line}\n" for line in lines).encode()
        self._wake()

    def deliver(self, path: str, content: bytes | str) -> None:
        """Put a file into deliverables/ and announce it."""
        self.deliverables[path] = content.encode() if isinstance(content, str) else content
        self.write(f"DELIVERABLE: ./deliverables/{path}")

    async def setup_workdir(self) -> None:
        self.calls.append("setup_workdir")
        await trio.lowlevel.checkpoint()

    async def prepare_channel(self) -> None:
        self.calls.append("prepare_channel")
        await trio.lowlevel.checkpoint()

    async def install_scripts(self, directory: str, scripts: Mapping[str, str]) -> str:
        self.calls.append("install_scripts")
        await trio.lowlevel.checkpoint()
        return f"{self.workdir}/{directory}"

    async def search_path(self) -> str:
        await trio.lowlevel.checkpoint()
        return "/usr/bin:/bin"

    @asynccontextmanager
    async def open_log(
        self, position: LogPosition, *, settled: Callable[[bytes], bool]
    ) -> AsyncIterator[MemoryReader]:
        self.readers += 1
        try:
            yield MemoryReader(self, position.offset)
        finally:
            self.readers -= 1

    @asynccontextmanager
    async def open_deliverable(self, relative_path: str, *, limit: int) -> AsyncIterator[MemoryDeliverable]:
        await trio.lowlevel.checkpoint()
        content = self.deliverables.get(relative_path)
        if content is None:
            raise DeliverableRejected(RejectionKind.MISSING, "there is no such file")
        if len(content) > limit:
            raise DeliverableRejected(RejectionKind.TOO_LARGE, f"{len(content)} bytes, at most {limit}")
        self.open_deliverables += 1
        try:
            yield MemoryDeliverable(content)
        finally:
            self.open_deliverables -= 1

    def _wake(self) -> None:
        self._changed.set()
        self._changed = trio.Event()


class MemoryDeliverable:
    def __init__(self, content: bytes) -> None:
        self._content = content
        self.size = len(content)

    async def chunks(self) -> AsyncIterator[bytes]:
        await trio.lowlevel.checkpoint()
        yield self._content


class MemoryReader:
    def __init__(self, host: MemoryHost, offset: int) -> None:
        self._host = host
        self._offset = offset
        self._finished = False

    def finish(self) -> None:
        self._finished = True
        self._host._wake()

    async def read(self, take: Take | None = None) -> Window | None:
        await trio.lowlevel.checkpoint()
        while True:
            for place in sorted(self._host.lose_reader_at):
                if place <= self._offset:
                    self._host.lose_reader_at.discard(place)
                    raise LogLost(f"lost at {place}")
            end = self._host.log.rfind(b"\n") + 1
            data = bytes(self._host.log[self._offset : end])
            if not data and self._finished:
                data = bytes(self._host.log[self._offset :])
                if not data:
                    return None
                self._offset = len(self._host.log)
                return Window(data + b"\n", LogPosition(self._offset))
            if data:
                self._offset = end
                return Window(data, LogPosition(end))
            await self._host._changed.wait()
