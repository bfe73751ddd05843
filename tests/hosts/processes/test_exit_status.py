"""The text of an exit status."""

from __future__ import annotations

import signal

import pytest

from optio_agents.hosts.processes.exit_status import exit_text


@pytest.mark.parametrize(
    ("returncode", "text"),
    [
        (0, "exit status 0"),
        (3, "exit status 3"),
        (-signal.SIGTERM, "killed by SIGTERM"),
        (-200, "killed by signal 200"),
    ],
)
def test_an_exit_status_has_one_text(returncode: int, text: str) -> None:
    assert exit_text(returncode) == text
