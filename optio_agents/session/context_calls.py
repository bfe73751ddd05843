"""BROWSER and CLIENT_MESSAGE: what the agent asks of the dashboard's user, in log order."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from optio_agents.bridge.boundary import Boundary
from optio_agents.protocol.display import display_text
from optio_agents.session.recorder import Recorder


class Requests:
    """Calls `ctx.request_browser_open(url)` and `ctx.client_message(keyword, data)`.

    Args:
        rewrite: applied to each URL before it is passed on.
    """

    def __init__(
        self,
        boundary: Boundary,
        ctx: Any,
        recorder: Recorder,
        rewrite: Callable[[str], str] | None,
        grace: float,
    ) -> None:
        self._boundary = boundary
        self._ctx = ctx
        self._recorder = recorder
        self._rewrite = rewrite
        self._grace = grace

    async def handle(self, requests: list[list[Any]], settle: Callable[[], None]) -> None:
        """Pass each request on; one that fails is reported and does not stop the next."""
        for kind, *arguments in requests:
            try:
                await self._pass_on(kind, arguments)
            except Exception as error:  # noqa: BLE001 - one event's failure is that event's problem
                self._recorder.problem(f"{kind} request could not be passed on ({error!r}): {arguments[0]}")
            settle()

    async def _pass_on(self, kind: str, arguments: list[Any]) -> None:
        if kind == "browser":
            name = "request_browser_open"
            if self._rewrite is not None:
                arguments = [self._rewrite(arguments[0])]
        else:
            name = "client_message"
        method: Callable[..., Awaitable[Any]] | None = getattr(self._ctx, name, None)
        if method is None:
            self._recorder.problem(f"The context has no {name}: {display_text(str(arguments[0]))}")
            return
        await self._boundary.call(method, *arguments, label=f"ctx.{name}", grace=self._grace)
