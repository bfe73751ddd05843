"""ATTENTION, in a queue of its own: a human who is needed is told at once, whatever else waits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from optio_agents.bridge.boundary import Boundary
from optio_agents.protocol.display import display_text
from optio_agents.session.recorder import Recorder


class Attention:
    """Calls `ctx.need_attention(reason)`."""

    def __init__(self, boundary: Boundary, ctx: Any, recorder: Recorder, grace: float) -> None:
        self._boundary = boundary
        self._ctx = ctx
        self._recorder = recorder
        self._grace = grace

    async def handle(self, reasons: list[str], settle: Callable[[], None]) -> None:
        """Ask for each reason; a ctx that cannot is reported as that event's problem."""
        need_attention = getattr(self._ctx, "need_attention", None)
        for reason in reasons:
            text = display_text(reason)
            if need_attention is None:
                self._recorder.problem(f"Attention needed (the context cannot pass it on): {text}")
            else:
                try:
                    await self._boundary.call(
                        need_attention, text, label="ctx.need_attention", grace=self._grace
                    )
                except Exception as error:  # noqa: BLE001 - one event's failure is that event's problem
                    self._recorder.problem(f"ATTENTION could not be passed on ({error!r}): {text}")
            settle()
