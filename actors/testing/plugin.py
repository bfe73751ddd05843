"""The pytest plugin: the test kit as fixtures, beside pytest-trio.

Load it with `-p actors.testing.plugin`, in `addopts` for example, or with `pytest_plugins = ["actors.testing.plugin"]`
in the top conftest.py. Pytest does not load it by itself: a project that has a package `actors` of its own must be able
to run its tests where optio-agents is installed. It imports nothing until a fixture is used.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from actors.supervisor import Supervisor


@pytest.fixture
def cancel_at_every_step() -> Callable[..., Any]:
    """`actors.testing.cancel_at_every_step`."""
    from actors import testing

    return testing.cancel_at_every_step


@pytest.fixture
def fail_at_every_step() -> Callable[..., Any]:
    """`actors.testing.fail_at_every_step`."""
    from actors import testing

    return testing.fail_at_every_step


@pytest.fixture
def no_leaks() -> Iterator[None]:
    """Fail the test if it leaves a thread, an open file descriptor or a child process behind."""
    from actors import testing

    with testing.no_leaks():
        yield


@pytest.fixture
async def actor_supervisor() -> AsyncGenerator[Supervisor]:
    """An open supervisor, for tests that pytest-trio runs."""
    import actors

    async with actors.open_supervisor(name="test") as supervisor:
        yield supervisor
