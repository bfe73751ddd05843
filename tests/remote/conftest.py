"""One sshd for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.servers import Ssh, running_sshd


@pytest.fixture(scope="session")
def ssh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ssh]:
    """A running sshd."""
    with running_sshd(tmp_path_factory.mktemp("sshd")) as server:
        yield server
