"""The pytest plugin: the test kit as fixtures, beside pytest-trio.

Load it with `-p actors.testing.plugin`, in `addopts` for example, or with `pytest_plugins = ["actors.testing.plugin"]`
in the top conftest.py. Pytest does not load it automatically: a project that has a package `actors` of its own must be
able to run its tests where optio-agents is installed. It imports nothing until a fixture is used.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from actors.exits import Exit
    from actors.ref import Ref
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
    """An open supervisor, for tests that pytest-trio runs.

    An assertion that fails inside an actor fails the test, also if the actor is restarted. Other failures of actors are
    only logged, as without this fixture, because the test may cause them on purpose.
    """
    import actors

    failed: list[AssertionError | ExceptionGroup[AssertionError]] = []

    def note(ref: Ref[Any], exit: Exit) -> None:
        error = exit.cause
        if isinstance(error, ExceptionGroup):
            error = error.subgroup(AssertionError)
        if isinstance(error, (AssertionError, ExceptionGroup)):
            failed.append(error)
        else:
            logging.getLogger("actors").error(
                "actor %r of supervisor 'test' failed", ref.name, exc_info=exit.cause
            )

    async with actors.open_supervisor(name="test", on_failure=note) as supervisor:
        yield supervisor
    if failed:
        for other in failed[1:]:
            failed[0].add_note(f"and in another run or actor: {other!r}")
        raise failed[0]
