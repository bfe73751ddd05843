"""Where the command line keeps what it must remember."""

from __future__ import annotations

import os
from pathlib import Path


def state_directory() -> Path:
    """`$XDG_STATE_HOME/optio-agents`, by default `~/.local/state/optio-agents`. It need not exist."""
    state = os.environ.get("XDG_STATE_HOME", "")
    base = Path(state) if os.path.isabs(state) else Path.home() / ".local" / "state"
    return base / "optio-agents"
