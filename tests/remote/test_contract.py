"""The contract of `SessionHost`, held against every host that there is."""

from __future__ import annotations

import asyncio
import gc
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optio_host.host
import pytest
import trio

from optio_agents.bridge import Boundary, run_in_trio
from optio_agents.hosts.adapt import adapt_host
from optio_agents.hosts.base import SessionHost
from optio_agents.hosts.foreign import ForeignHost
from optio_agents.hosts.local import LocalHost
from optio_agents.hosts.optio_local import OptioLocalHost
from optio_agents.hosts.remote import RemoteSessionHost
from tests.support.check_host import CHECKS, CHECKS_OF_BYTES, CHECKS_OF_MODES, Bench, Check
from tests.support.servers import Ssh
from tests.support.ssh_host import connected, ssh_host

TASK = "task dir; touch injected #'\""
"""W7: a name that a shell would stumble over, in every test."""


LEAVES_TAILS = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)
"""optio-host's `tail_file` leaves its tail's pipes to the collector, but for those of the last one."""


class Thin:
    """A host with a few methods, all of them optio-host's own."""

    def __init__(self, taskdir: str, *names: str) -> None:
        self._inner = optio_host.host.LocalHost(taskdir)
        self.workdir = self._inner.workdir
        for name in ("setup_workdir", "tail_file", *names):
            setattr(self, name, getattr(self._inner, name))

    async def disconnect(self) -> None:
        await self._inner.disconnect()


async def check_on(host: Any, boundary: Boundary, kind: type[Any], root: Path, check: Check) -> None:
    session_host: SessionHost = adapt_host(host, boundary)
    assert isinstance(session_host, kind)
    await session_host.setup_workdir()
    await session_host.prepare_channel()
    await check(Bench(session_host, root))


def check_in_asyncio(make: Callable[[], Any], kind: type[Any], root: Path, check: Check) -> None:
    async def program() -> None:
        host = make()
        async with connected(host):
            await run_in_trio(lambda boundary: check_on(host, boundary, kind, root, check))

    asyncio.run(program())
    # See `LEAVES_TAILS`: what is left must not hit a later test.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def each(*checks: Check) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("check", checks, ids=lambda check: check.__name__)


@each(*CHECKS, *CHECKS_OF_BYTES, *CHECKS_OF_MODES)
def test_own_local_host(check: Check, tmp_path: Path) -> None:
    host = LocalHost(str(tmp_path / TASK))
    trio.run(lambda: run_in_trio(lambda boundary: check_on(host, boundary, LocalHost, tmp_path, check)))


@each(*CHECKS, *CHECKS_OF_BYTES, *CHECKS_OF_MODES)
def test_optio_hosts_local_host(check: Check, tmp_path: Path) -> None:
    check_in_asyncio(lambda: optio_host.host.LocalHost(str(tmp_path / TASK)), OptioLocalHost, tmp_path, check)


@LEAVES_TAILS
@each(*CHECKS, *CHECKS_OF_MODES)
def test_a_thin_host_with_a_shell(check: Check, tmp_path: Path) -> None:
    def make() -> Thin:
        return Thin(str(tmp_path / TASK), "run_command", "fetch_bytes_from_host")

    check_in_asyncio(make, ForeignHost, tmp_path, check)


@pytest.mark.servers
@each(*CHECKS, *CHECKS_OF_BYTES, *([] if os.geteuid() == 0 else CHECKS_OF_MODES))
def test_optio_hosts_remote_host(check: Check, tmp_path: Path, ssh: Ssh) -> None:
    check_in_asyncio(lambda: ssh_host(ssh, tmp_path / TASK), RemoteSessionHost, tmp_path, check)


@pytest.mark.servers
def test_the_search_path_of_a_remote_host_is_not_ours(
    tmp_path: Path, ssh: Ssh, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def check(bench: Bench) -> None:
        monkeypatch.setenv("PATH", f"{os.environ['PATH']}:/only/here")
        assert "/only/here" not in (await bench.host.search_path()).split(":")

    check_in_asyncio(lambda: ssh_host(ssh, tmp_path / TASK), RemoteSessionHost, tmp_path, check)
