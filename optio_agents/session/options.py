"""The options of a session, with their defaults."""

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
    """DONE counts as a failure if a deliverable was rejected, or its callback failed, and it was not redone."""

    progress: Literal["folded", "every"] = "folded"
    """`folded`: `ctx.report_progress` gets only what optio-core would keep. `every`: one call per line."""

    deliverable_limit: int = 64 * MEBIBYTE
    """The largest deliverable that `on_deliverable_file` gets."""

    text_limit: int = 8 * MEBIBYTE
    """The largest deliverable that `on_deliverable` gets, as text in memory."""

    drain_timeout: float = 30.0
    """How long an ending session waits for progress with earlier announcements: the next item fetched, passed to its
    callback and answered. Each progress restarts the time, so thousands of deliverables may take as long as they need,
    and so may a file over a slow but steady link (see `resolver.SLOWEST_LINK`)."""

    host_timeout: float = 300.0
    """How long the host may take for one step: make the workdir, prepare the log, open it, send the next piece of a
    deliverable. Beyond it the session fails with `HostTimeout`."""

    cancel_grace: float = 5.0
    """How long user code may take to end after its cancellation. Then it is reported by name and abandoned."""

    after_execute_timeout: float = 60.0
    """How long `after_execute` may take. In a cancelled session it gets `cancel_grace` or less (see `LastHook`)."""

    on_event: Callable[[SessionEvent], None] | None = None
    """A synchronous observer of everything that happens, called in order; it must not block."""

    def __post_init__(self) -> None:
        for name in (
            "deliverable_limit",
            "text_limit",
            "drain_timeout",
            "host_timeout",
            "cancel_grace",
            "after_execute_timeout",
        ):
            if not isinstance(getattr(self, name), int | float):
                raise TypeError(f"{name} must be a number, not {getattr(self, name)!r}")
        observer: object = self.on_event
        if observer is not None and (not callable(observer) or iscoroutinefunction(observer)):
            raise TypeError(f"on_event must be a plain function that is not awaited, not {self.on_event!r}")
        for name in ("deliverable_limit", "text_limit"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is a number of bytes and must not be negative")
        for name in ("drain_timeout", "host_timeout", "cancel_grace", "after_execute_timeout"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} is a number of seconds and must not be negative")
        if self.progress not in ("folded", "every"):
            raise ValueError(f"progress must be 'folded' or 'every', not {self.progress!r}")
