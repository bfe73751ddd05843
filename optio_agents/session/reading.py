"""The messages from the tailer to the parser."""

from __future__ import annotations

import enum
from typing import TypeAlias

from optio_agents.hosts.base import Window


class Signal(enum.Enum):
    """Messages other than windows of the log."""

    GO_ON = "go on"
    """Continue with the rest of a window, after other tasks had their turn."""
    FLUSH = "flush"
    """Held-back progress is due."""
    LOG_ENDED = "log ended"
    """The body has ended, and everything was read."""


Reading: TypeAlias = Window | Signal
