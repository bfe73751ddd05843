"""What a caller may set of a session, each with its default."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from inspect import iscoroutinefunction
from typing import Literal

from optio_agents.session.events import SessionEvent

MEBIBYTE = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionOptions:
    """Limits, deadlines and switches of one session.

    Sizes are in bytes, times in seconds.
    """

    strict: bool = False
    """DONE counts as a failure when a deliverable was rejected, or a callback failed for one, and was not redone."""

    progress: Literal["folded", "every"] = "folded"
    """`folded`: what reaches `ctx.report_progress` is what optio-core would keep of it. `every`: one call per line."""

    deliverable_limit: int = 64 * MEBIBYTE
    """The largest deliverable that `on_deliverable_file` is given."""

    text_limit: int = 8 * MEBIBYTE
    """The largest deliverable that is handed over as text (`on_deliverable`), whole in memory."""

    drain_timeout: float = 30.0
    """How long the session waits, at its end, for the next thing that was announced before to be fetched, handed over
    and answered. Progress puts it off: thousands of deliverables may take as long as they need, and so may a file over
    a link that is slow but steady (see `resolver.SLOWEST_LINK`)."""

    cancel_grace: float = 5.0
    """How long user code may take to end once it is cancelled, before it is reported by name and left behind."""

    after_execute_timeout: float = 60.0
    """How long `after_execute` may take. A cancelled session leaves it `cancel_grace`, or less (see `LastHook`)."""

    on_event: Callable[[SessionEvent], None] | None = None
    """A synchronous observer of everything that happens, called in order; it must not block."""

    def __post_init__(self) -> None:
        for name in (
            "deliverable_limit",
            "text_limit",
            "drain_timeout",
            "cancel_grace",
            "after_execute_timeout",
        ):
            if not isinstance(getattr(self, name), int | float):
                raise TypeError(f"{name} is a number, not {getattr(self, name)!r}")
        observer: object = self.on_event
        if observer is not None and (not callable(observer) or iscoroutinefunction(observer)):
            raise TypeError(f"on_event is a plain function, which is not awaited, not {self.on_event!r}")
        for name in ("deliverable_limit", "text_limit"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is a number of bytes and must not be negative")
        for name in ("drain_timeout", "cancel_grace", "after_execute_timeout"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} is a number of seconds and must not be negative")
        if self.progress not in ("folded", "every"):
            raise ValueError(f"progress must be 'folded' or 'every', not {self.progress!r}")
