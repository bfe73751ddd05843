"""What the tailer tells the parser."""

from __future__ import annotations

import enum
from typing import TypeAlias

from optio_agents.hosts.base import Window


class Signal(enum.Enum):
    """What there is to say beside the windows of the log."""

    GO_ON = "go on"
    """With the rest of a window: other tasks had their turn."""
    FLUSH = "flush"
    """Held-back progress is due."""
    LOG_ENDED = "log ended"
    """After the body's end everything was read."""


Reading: TypeAlias = Window | Signal
