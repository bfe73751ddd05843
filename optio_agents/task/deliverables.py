"""Deliverables of a task without callbacks of its own: stored as blobs; one of them is the result."""

from __future__ import annotations

import fnmatch
import mimetypes
import posixpath
from functools import partial
from typing import Any

from optio_agents.context import HookContext
from optio_agents.protocol.display import display_text
from optio_agents.session.deliverable import DeliverableFile
from optio_agents.task.outage import outlast_outage

_PIECE = 256 * 1024


class Deliverables:
    """Accepts each deliverable by storing it in the database, named `deliverables/<path>`.

    At the end of a run that reached DONE, one of them becomes the result of the process (`ctx.store_result`), which the
    dashboard offers for download.

    Args:
        result: a shell pattern for the path of the result, as `report.md` or `*.pdf`. The last one that matches counts.
            `None`: the only deliverable, if there is exactly one.
    """

    def __init__(self, result: str | None) -> None:
        self._pattern = result
        self._stored: dict[str, Any] = {}

    async def store(self, hook_context: HookContext, file: DeliverableFile) -> None:
        """Store one: `on_deliverable_file` of the session."""
        stored = await outlast_outage(partial(self._store, hook_context, file))
        self._stored.pop(file.path, None)
        self._stored[file.path] = stored

    async def _store(self, hook_context: HookContext, file: DeliverableFile) -> Any:
        async with hook_context.store_blob(f"deliverables/{file.path}") as blob:
            async for piece in file.chunks():
                await blob.write(piece)
        return blob.file_id

    @property
    def result(self) -> str | None:
        """The path of the deliverable that is the result."""
        if self._pattern is None:
            return next(iter(self._stored)) if len(self._stored) == 1 else None
        matching = [path for path in self._stored if fnmatch.fnmatchcase(path, self._pattern)]
        return matching[-1] if matching else None

    async def store_result(self, ctx: Any) -> None:
        """Store the result as the result of the process, if there is one and optio-core supports that."""
        path = self.result
        if path is not None and getattr(ctx, "store_result", None) is not None:
            await outlast_outage(partial(self._store_result, ctx, path))

    async def _store_result(self, ctx: Any, path: str) -> None:
        name = display_text(posixpath.basename(path)) or "result"
        content_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
        async with (
            ctx.load_blob(self._stored[path]) as stored,
            ctx.store_result(filename=name, content_type=content_type) as result,
        ):
            while piece := await stored.read(_PIECE):
                await result.write(piece)
