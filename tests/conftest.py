"""What holds for every test."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.support.tmux import TmuxServer, tmux_server

# A machine that is busy with something else makes an example slow, not wrong. In the gate the examples are the same
# every time: what it found once it finds again; at a desk they are new each time, and a failure prints its seed.
settings.register_profile(
    "desk", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("gate", settings.get_profile("desk"), derandomize=True)
settings.load_profile("gate" if os.environ.get("CI") else "desk")

# Whoever starts us in the background of a script, or under nohup, makes these ignored, in every program that a test
# starts, too; there are tests of what they do.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture
def tmux() -> Iterator[TmuxServer]:
    with tmux_server() as server:
        yield server
