"""A host, a ctx and callbacks that fail at the n-th of all calls, before it or after it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from optio_agents.hosts.base import LogPosition
from tests.support.session import MemoryDeliverable, MemoryHost, MemoryReader, RecordingCtx


class Faults:
    """Raises `error` at the point number `at` (from 1).

    Attributes:
        place: the name of that point, once it was reached.
    """

    def __init__(self, at: int, error: BaseException) -> None:
        self._left = at
        self._error = error
        self.place: str | None = None

    def point(self, name: str) -> None:
        """One more point."""
        self._left -= 1
        if self._left == 0:
            self.place = name
            raise self._error

    def around(self, name: str, function: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        """`function` with a point before it and one after it."""

        async def wrapped(*args: Any) -> Any:
            self.point(f"before {name}")
            result = await function(*args)
            self.point(f"after {name}")
            return result

        return wrapped


class FaultyCtx(RecordingCtx):
    def __init__(self, faults: Faults) -> None:
        super().__init__()
        self._faults = faults
        for name in ("request_browser_open", "need_attention", "client_message"):
            setattr(self, name, faults.around(f"ctx.{name}", getattr(self, name)))

    def report_progress(self, percent: float | None, message: str | None = None) -> None:
        self._faults.point("before ctx.report_progress")
        super().report_progress(percent, message)
        self._faults.point("after ctx.report_progress")


class FaultyHost(MemoryHost):
    def __init__(self, faults: Faults) -> None:
        super().__init__()
        self._faults = faults

    async def setup_workdir(self) -> None:
        await self._faults.around("host.setup_workdir", super().setup_workdir)()

    async def prepare_channel(self) -> None:
        await self._faults.around("host.prepare_channel", super().prepare_channel)()

    async def install_scripts(self, directory: str, scripts: Mapping[str, str]) -> str:
        installed = await self._faults.around("host.install_scripts", super().install_scripts)(
            directory, scripts
        )
        return str(installed)

    @asynccontextmanager
    async def open_log(
        self, position: LogPosition, *, settled: Callable[[bytes], bool]
    ) -> AsyncIterator[MemoryReader]:
        self._faults.point("before host.open_log")
        async with super().open_log(position, settled=settled) as reader:
            reader.read = self._faults.around("reader.read", reader.read)  # type: ignore[method-assign, assignment]
            yield reader
        self._faults.point("after host.open_log")

    @asynccontextmanager
    async def open_deliverable(self, relative_path: str, *, limit: int) -> AsyncIterator[MemoryDeliverable]:
        self._faults.point("before host.open_deliverable")
        async with super().open_deliverable(relative_path, limit=limit) as source:
            self._faults.point("before deliverable.chunks")
            yield source
            self._faults.point("after deliverable.chunks")
        self._faults.point("after host.open_deliverable")
