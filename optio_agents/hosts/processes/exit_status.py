"""The text of an exit status."""

from __future__ import annotations

import signal


def exit_text(returncode: int) -> str:
    """`exit status 3` or `killed by SIGTERM`; `returncode` as in `subprocess`, negative for a signal."""
    if returncode >= 0:
        return f"exit status {returncode}"
    try:
        return f"killed by {signal.Signals(-returncode).name}"
    except ValueError:
        return f"killed by signal {-returncode}"
