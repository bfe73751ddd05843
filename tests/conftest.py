"""What holds for every test."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.support import public_trio
from tests.support.tmux import TmuxServer, tmux_server

# A busy machine makes an example slow, not wrong, so there is no deadline. The gate runs fixed examples, so that a
# failure is found again; elsewhere, and in the gate's second run, they are random and a failure prints its seed.
settings.register_profile(
    "random", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("gate", settings.get_profile("random"), derandomize=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "gate" if os.environ.get("CI") else "random"))

# A shell that starts us in the background, or under nohup, makes these signals ignored, and every program that a test
# starts inherits that. Some tests are about these signals.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

# What the command line keeps of its runs does not go to the home of the person who runs the tests.
_STATE = tempfile.TemporaryDirectory(prefix="optio-agents-tests-")
os.environ["XDG_STATE_HOME"] = _STATE.name
# Nor does that person's configuration change what the tests see.
os.environ["XDG_CONFIG_HOME"] = _STATE.name

SLOW = (
    "every_step",
    "every_call",
    "histories",
    "large_logs",
    "model",
    "models",
    "cancellation",
    "typing",
    "asyncio_programs",
    "faulty_file_system",
)
"""Endings of the names of test modules that try very many cases or start many programs. The quick tier omits them."""


def pytest_configure(config: pytest.Config) -> None:
    """Hide the private parts of Trio if the suite is run without them."""
    if public_trio.IS_WANTED:
        config.pluginmanager.register(public_trio)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of the slow modules."""
    for item in items:
        if Path(item.path).stem.endswith(SLOW):
            item.add_marker(pytest.mark.slow)


@pytest.fixture
def tmux() -> Iterator[TmuxServer]:
    with tmux_server() as server:
        yield server
