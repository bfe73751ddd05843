"""The fetcher: reads announced files, passes them to the callback, and sends one reply for each DELIVERABLE line."""

from __future__ import annotations

import errno
import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import trio
from outcome import Error, Outcome, Value, capture

import actors
from optio_agents.bridge.boundary import Boundary
from optio_agents.context import HookContext
from optio_agents.hosts.base import SessionHost
from optio_agents.hosts.files.transfer import consuming
from optio_agents.protocol import replies
from optio_agents.protocol.paths import locate
from optio_agents.protocol.rejections import DeliverableRejected, RejectionKind
from optio_agents.session.deliverable import CopyFailed, DeliverableFile
from optio_agents.session.host_step import host_step
from optio_agents.session.options import SessionOptions
from optio_agents.session.outcome import DeliverableRecord
from optio_agents.session.recorder import Recorder
from optio_agents.session.reply_queue import ReplyQueue

GROUP_ITEMS = 64
GROUP_BYTES = 1024 * 1024
"""Deliverables cross the boundary in groups of at most this many items and about this many bytes."""


_SHORTAGES = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOSPC, errno.EDQUOT)
"""Local shortages that affect one file and not necessarily the next one."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """A deliverable that was read; `content` is the callback's argument."""

    path: str
    content: str | DeliverableFile
    size: int
    sha256: str


class Fetcher:
    """Processes announced paths in log order.

    Args:
        on_text: `on_deliverable(hook_ctx, relative_path, text)`, for UTF-8 text.
        on_file: `on_deliverable_file(hook_ctx, file)`, for any content. At most one of the two is given.
        sender: receives the replies.
        on_received: called with the number of bytes of each piece of a file that arrives.
    """

    def __init__(
        self,
        boundary: Boundary,
        host: SessionHost,
        hook_context: HookContext,
        recorder: Recorder,
        sender: actors.Ref[str],
        options: SessionOptions,
        *,
        on_received: Callable[[int], None] = lambda size: None,
        on_text: Any = None,
        on_file: Any = None,
    ) -> None:
        self._boundary = boundary
        self._host = host
        self._hook_context = hook_context
        self._recorder = recorder
        self._sender = sender
        self._options = options
        self._on_received = on_received
        self._on_text = on_text
        self._on_file = on_file

    async def handle(self, announced: list[str], settle: Callable[[], None]) -> None:
        """Fetch, pass on and answer each announced path; call `settle` after each reply."""
        batch = _Batch(ReplyQueue(self._sender, self._recorder), settle)
        try:
            for path in announced:
                await self._take(path, batch)
                if batch.size >= GROUP_BYTES:
                    await self._hand_over(batch)
            await self._hand_over(batch)
        finally:
            batch.close()

    async def _take(self, path: str, batch: _Batch) -> None:
        try:
            path = locate(path, self._host.workdir)
            fetched = await self._fetch(path)
        except DeliverableRejected as rejection:
            await self._hand_over(batch)  # replies keep the order of the lines
            self._reject(path, rejection, batch)
        except (CopyFailed, OSError) as failure:
            if isinstance(failure, OSError) and failure.errno not in _SHORTAGES:
                raise
            await self._hand_over(batch)
            text = f"The deliverable {path} could not be fetched: {failure}"
            self._recorder.problem(text, actor="fetcher", error=failure)
            self._reply(path, replies.TROUBLE, batch, failed=True, error=failure)
        else:
            batch.group.append(fetched)

    async def _fetch(self, path: str) -> Fetched:
        limit = self._options.text_limit if self._on_file is None else self._options.deliverable_limit
        total = 0

        def received(size: int) -> None:
            """Limit what the host really sends: it may announce a small file and send more."""
            nonlocal total
            total += size
            if total > limit:
                detail = f"more than the limit of {limit:,} bytes"
                raise DeliverableRejected(RejectionKind.TOO_LARGE, detail)
            step.deadline = trio.current_time() + self._options.host_timeout
            self._on_received(size)

        with host_step(f"send deliverables/{path}", self._options.host_timeout) as step:
            fetched = await self._read(path, limit, received)
        if isinstance(fetched, Fetched):
            return fetched
        try:
            text = fetched.decode("utf-8")
        except UnicodeDecodeError as error:
            raise DeliverableRejected(
                RejectionKind.NOT_UTF8, f"byte {error.start} is {fetched[error.start]:#04x}"
            ) from None
        return Fetched(path, text, len(fetched), hashlib.sha256(fetched).hexdigest())

    async def _read(self, path: str, limit: int, received: Callable[[int], None]) -> Fetched | bytes:
        """The file for `on_deliverable_file`, or the bytes of the text for `on_deliverable`."""
        async with self._host.open_deliverable(path, limit=limit) as source:
            if self._on_file is not None:
                file = DeliverableFile(path)
                try:
                    await file.fill(source, received)
                except BaseException:
                    file.close()
                    raise
                return Fetched(path, file, file.size, file.digest)
            pieces, chunks = [], source.chunks()
            async with consuming(chunks):
                async for piece in chunks:
                    received(len(piece))
                    pieces.append(piece)
            return b"".join(pieces)

    async def _hand_over(self, batch: _Batch) -> None:
        group = batch.group

        if self._on_file is None:
            callback, label = self._on_text, "on_deliverable"
            calls: list[tuple[Any, ...]] = [(self._hook_context, each.path, each.content) for each in group]
        else:
            callback, label = self._on_file, "on_deliverable_file"
            calls = [(self._hook_context, each.content) for each in group]

        def answer(index: int, outcome: Outcome[Any]) -> None:
            self._answer(group[index], outcome, batch, label)

        if callback is None:
            for item in group:
                self._reply(item.path, replies.ACCEPTED, batch, size=item.size, sha256=item.sha256)
        elif group:
            await self._boundary.call_each(
                callback, calls, label=label, on_result=answer, grace=self._options.cancel_grace
            )
        batch.close()
        await batch.outbox.flush()

    def _answer(self, item: Fetched, outcome: Outcome[Any], batch: _Batch, label: str) -> None:
        # Not raised again: its traceback would refer to this frame, a cycle that only the garbage collector frees.
        judged: Outcome[str] = (
            capture(replies.callback_reply, outcome.value) if isinstance(outcome, Value) else outcome
        )
        raised: BaseException | None = None
        if not isinstance(judged, Error):
            reply = judged.unwrap()
        else:
            reply, raised = replies.TROUBLE, judged.error
            text = f"{label} callback raised for {item.path}: {raised!r}"
            self._recorder.problem(text, actor="fetcher", error=raised)
        self._reply(
            item.path,
            reply,
            batch,
            failed=raised is not None,
            error=raised,
            size=item.size,
            sha256=item.sha256,
        )

    def _reject(self, path: str, rejection: DeliverableRejected, batch: _Batch) -> None:
        reply = replies.rejected_reply(rejection)
        self._recorder.log(logging.INFO, replies.reply_text(path, reply), actor="fetcher")
        self._recorder.progress(None, replies.reply_text(path, reply))
        self._reply(path, reply, batch, kind=rejection.kind)

    def _reply(self, path: str, reply: str, batch: _Batch, **known: Any) -> None:
        accepted = replies.is_accepted(reply)
        self._recorder.settle(DeliverableRecord(path, accepted, reply, **known))
        batch.outbox.put(replies.reply_text(path, reply))
        batch.settle()


class _Batch:
    """The state of one call of `handle`: the group that waits for its callback, and the replies."""

    def __init__(self, outbox: ReplyQueue, settle: Callable[[], None]) -> None:
        self.outbox = outbox
        self.settle = settle
        self.group: list[Fetched] = []

    @property
    def size(self) -> int:
        return sum(each.size for each in self.group)

    def close(self) -> None:
        """Free the group's copies."""
        for item in self.group:
            if isinstance(item.content, DeliverableFile):
                item.content.close()
        self.group = []
