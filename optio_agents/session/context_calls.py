"""ATTENTION, BROWSER and CLIENT_MESSAGE: requests to the dashboard's user."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from optio_agents.bridge.boundary import Boundary
from optio_agents.protocol.display import display_text
from optio_agents.session.log_order import LogOrder
from optio_agents.session.optio_context import METHODS, request_method
from optio_agents.session.recorder import Recorder


class ContextCalls:
    """Calls one method of the ctx for each item of one kind.

    Args:
        keyword: the kind, a key of `METHODS`.
        order: decides when it is this kind's turn.
        rewrite: applied to each URL before it is passed on.
    """

    def __init__(
        self,
        keyword: str,
        boundary: Boundary,
        ctx: Any,
        recorder: Recorder,
        order: LogOrder,
        *,
        rewrite: Callable[[str], str] | None,
        grace: float,
    ) -> None:
        self._keyword = keyword
        self._method = request_method(ctx, keyword)
        self._boundary = boundary
        self._recorder = recorder
        self._order = order
        self._rewrite = boundary.plain(rewrite) if rewrite and keyword == "BROWSER" else None
        self._grace = grace

    async def handle(self, items: list[list[str]], settle: Callable[[], None]) -> None:
        """Pass on each item in its turn. A failure is reported and does not stop the next one.

        The data of a CLIENT_MESSAGE are JSON.
        """
        for arguments in items:
            await self._order.turn(self._keyword)
            try:
                await self._pass_on(arguments)
            except Exception as error:  # noqa: BLE001 - the failure concerns this event only
                self._report(f"could not be passed on ({error!r})", arguments, error)
            self._order.settle(self._keyword)
            settle()

    async def _pass_on(self, arguments: list[Any]) -> None:
        if self._method is None:
            self._report(f"could not be passed on (the context has no {METHODS[self._keyword]})", arguments)
            return
        if self._keyword == "CLIENT_MESSAGE":
            arguments = [arguments[0], json.loads(arguments[1])]
        if self._rewrite is not None:
            arguments = [self._rewrite(arguments[0])]
        label = f"ctx.{METHODS[self._keyword]}"
        await self._boundary.call(self._method, *arguments, label=label, grace=self._grace)

    def _report(self, what: str, arguments: list[str], error: Exception | None = None) -> None:
        text = f"{self._keyword} {what}: {display_text(str(arguments[0]))}"
        self._recorder.problem(text, actor=self._keyword.lower(), error=error)
