"""The fetcher: reads what was announced, hands it over, and gives each DELIVERABLE line its one reply."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from outcome import Outcome

import actors
from optio_agents.bridge.border import Border
from optio_agents.context import HookContext
from optio_agents.hosts.base import DeliverableRejected, RejectionKind, SessionHost
from optio_agents.protocol import replies
from optio_agents.protocol.paths import locate
from optio_agents.session.deliverable import DeliverableFile
from optio_agents.session.journal import Journal
from optio_agents.session.options import SessionOptions
from optio_agents.session.outbox import Outbox
from optio_agents.session.outcome import DeliverableRecord

GROUP_ITEMS = 64
GROUP_BYTES = 1024 * 1024
"""Deliverables cross to the user's world in groups of at most this many, together of about this many bytes."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """A deliverable that was read; `content` is what its callback gets."""

    path: str
    content: str | DeliverableFile
    size: int
    sha256: str


class Fetcher:
    """Works off announced paths in log order.

    Args:
        on_text: `on_deliverable(hook_ctx, relative_path, text)`, for UTF-8 text.
        on_file: `on_deliverable_file(hook_ctx, file)`, for any content. At most one of the two is given.
        sender: takes the replies.
    """

    def __init__(
        self,
        border: Border,
        host: SessionHost,
        hook_context: HookContext,
        journal: Journal,
        sender: actors.Ref[str],
        options: SessionOptions,
        *,
        on_text: Any = None,
        on_file: Any = None,
    ) -> None:
        self._border = border
        self._host = host
        self._hook_context = hook_context
        self._journal = journal
        self._sender = sender
        self._options = options
        self._on_text = on_text
        self._on_file = on_file

    async def handle(self, paths: list[str]) -> None:
        """Fetch, hand over and answer each path."""
        outbox = Outbox(self._sender)
        group: list[Fetched] = []
        size = 0
        for path in paths:
            try:
                fetched = await self._fetch(path)
            except DeliverableRejected as rejection:
                await self._hand_over(group, outbox)
                group, size = [], 0
                self._reject(path, rejection, outbox)
                continue
            group.append(fetched)
            size += fetched.size
            if size >= GROUP_BYTES:
                await self._hand_over(group, outbox)
                group, size = [], 0
        await self._hand_over(group, outbox)

    async def _fetch(self, announced: str) -> Fetched:
        path = locate(announced, self._host.workdir)
        limit = self._options.text_limit if self._on_file is None else self._options.deliverable_limit
        async with self._host.open_deliverable(path, limit=limit) as source:
            if self._on_file is not None:
                file = DeliverableFile(path)
                try:
                    await file.fill(source)
                except BaseException:
                    file.close()
                    raise
                return Fetched(path, file, file.size, file.digest)
            data = b"".join([piece async for piece in source.chunks()])
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise DeliverableRejected(
                RejectionKind.NOT_UTF8, f"byte {error.start} is {data[error.start]:#04x}"
            ) from None
        return Fetched(path, text, len(data), hashlib.sha256(data).hexdigest())

    async def _hand_over(self, group: list[Fetched], outbox: Outbox) -> None:
        def settle(index: int, outcome: Outcome[Any]) -> None:
            self._settle(group[index], outcome, outbox)

        if self._on_file is None:
            callback, label = self._on_text, "on_deliverable"
            calls: list[tuple[Any, ...]] = [(self._hook_context, each.path, each.content) for each in group]
        else:
            callback, label = self._on_file, "on_deliverable_file"
            calls = [(self._hook_context, each.content) for each in group]
        try:
            if callback is None:
                for item in group:
                    self._accept(item, None, outbox)
            elif group:
                await self._border.call_each(
                    callback,
                    calls,
                    label=label,
                    on_result=settle,
                    grace=self._options.cancel_grace,
                )
        finally:
            for item in group:
                if isinstance(item.content, DeliverableFile):
                    item.content.close()
        await outbox.flush()

    def _settle(self, item: Fetched, outcome: Outcome[Any], outbox: Outbox) -> None:
        try:
            self._accept(item, outcome.unwrap(), outbox)
        except Exception as error:  # noqa: BLE001 - whatever the caller's callback raised
            self._journal.problem(f"The callback failed for the deliverable {item.path}: {error!r}")
            self._reply(item.path, replies.TROUBLE, outbox, failed=True, size=item.size, sha256=item.sha256)

    def _accept(self, item: Fetched, answer: Any, outbox: Outbox) -> None:
        reply = replies.callback_reply(answer)
        self._reply(item.path, reply, outbox, size=item.size, sha256=item.sha256)

    def _reject(self, announced: str, rejection: DeliverableRejected, outbox: Outbox) -> None:
        reply = replies.rejected_reply(rejection)
        self._journal.progress(None, replies.reply_text(announced, reply))
        self._reply(announced, reply, outbox, kind=rejection.kind)

    def _reply(self, path: str, reply: str, outbox: Outbox, **known: Any) -> None:
        accepted = replies.is_accepted(reply)
        self._journal.settle(DeliverableRecord(path, accepted, reply, **known))
        outbox.put(replies.reply_text(path, reply))
