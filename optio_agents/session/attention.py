"""ATTENTION, in a lane of its own: a human who is needed is told at once, whatever else waits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from optio_agents.bridge.border import Border
from optio_agents.protocol.display import display_text
from optio_agents.session.recorder import Journal


class Attention:
    """Calls `ctx.need_attention(reason)`."""

    def __init__(self, border: Border, ctx: Any, journal: Journal, grace: float) -> None:
        self._border = border
        self._ctx = ctx
        self._journal = journal
        self._grace = grace

    async def handle(self, reasons: list[str], settle: Callable[[], None]) -> None:
        """Ask for each reason; a ctx that cannot is reported as that event's problem."""
        need_attention = getattr(self._ctx, "need_attention", None)
        for reason in reasons:
            text = display_text(reason)
            if need_attention is None:
                self._journal.problem(f"Attention needed (the context cannot pass it on): {text}")
            else:
                try:
                    await self._border.call(
                        need_attention, text, label="ctx.need_attention", grace=self._grace
                    )
                except Exception as error:  # noqa: BLE001 - one event's failure is that event's problem
                    self._journal.problem(f"ATTENTION could not be passed on ({error!r}): {text}")
            settle()
