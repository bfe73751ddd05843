"""The suite on the public parts of Trio alone, as it must pass on a Trio whose private parts are unknown.

With `OPTIO_AGENTS_TRIO_DRIVER=public`, conftest registers this module as a pytest plugin: the driver is the one on the
guest mode, seeds have no effect, faults cannot be injected, and no module can import `trio._core` while tests are
collected and run.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from actors.testing import steps
from actors.testing.schedule import NoFaults
from optio_agents.bridge import driver_choice

IS_WANTED = os.environ.get(driver_choice.VARIABLE) == "public"

CANNOT_MOVE = (
    "Trio's public guest mode cannot go on in another thread: what runs is given up, with its agents and descriptors "
    "(tests/bridge/test_moved_loops.py has what is said then)"
)


@contextmanager
def hidden() -> Iterator[None]:
    """Within the block, importing Trio's private package fails, and so does injecting faults."""

    def no_faults() -> None:
        raise NoFaults("a Trio without private parts does not let a test make a task raise at a step")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(steps, "require_faults", no_faults)
        for name in [name for name in sys.modules if name.startswith("trio._core")]:
            patch.setitem(sys.modules, name, None)
        yield


def pytest_sessionstart(session: pytest.Session) -> None:
    stack = ExitStack()
    stack.enter_context(hidden())
    session.config.add_cleanup(stack.close)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, Any, Any]:
    try:
        return (yield)
    except NoFaults as impossible:
        pytest.skip(str(impossible))
