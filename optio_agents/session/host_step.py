"""Time limits for the steps of a host: one that hangs ends the session, with an error that names the step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import trio

from optio_agents.session.outcome import HostTimeout


@contextmanager
def host_step(step: str, seconds: float) -> Iterator[trio.CancelScope]:
    """Limit a block; its deadline may be moved while the step makes progress.

    Args:
        step: what the host does, for the error: "the host did not <step> within ...".
        seconds: the limit.

    Raises:
        HostTimeout: the limit was reached.
    """
    with trio.move_on_after(seconds) as scope:
        yield scope
    if scope.cancelled_caught:
        raise HostTimeout(step, seconds)
