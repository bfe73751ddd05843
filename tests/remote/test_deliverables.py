"""Deliverables on a host whose agent makes opening them hang: refused in time, and nothing is left on the host."""

from __future__ import annotations

import fcntl
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from optio_agents.bridge import Boundary, run_in_trio
from optio_agents.hosts import remote_deliverable
from optio_agents.hosts.remote import RemoteSessionHost
from optio_agents.protocol.rejections import DeliverableRejected, RejectionKind
from tests.support.remote_task import HANG, run, still_running, trusted_host
from tests.support.servers import Ssh
from tests.support.ssh_host import connected, ssh_host

pytestmark = pytest.mark.servers


@contextmanager
def opening_hangs(path: Path) -> Iterator[None]:
    """Opening the file waits for its lease, which is never released: as with a FIFO, but also after any check."""
    before = signal.signal(signal.SIGIO, signal.SIG_IGN)
    descriptor = os.open(path, os.O_RDWR)
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        yield
    finally:
        os.close(descriptor)
        signal.signal(signal.SIGIO, before)


async def check(boundary: Boundary, host: Any) -> None:
    session_host = RemoteSessionHost(host, boundary)
    await session_host.setup_workdir()
    await session_host.prepare_channel()
    deliverables = Path(host.workdir, "deliverables")
    for name in ("one", "two"):
        (deliverables / name).write_text(name)
    with opening_hangs(deliverables / "one"), trio.fail_after(HANG):
        with pytest.raises(DeliverableRejected, match="opening it took more than") as caught:
            async with session_host.open_deliverable("one", limit=10):
                pass
        assert caught.value.kind is RejectionKind.UNREADABLE
        async with session_host.open_deliverable("two", limit=10) as source:
            assert b"".join([piece async for piece in source.chunks()]) == b"two"
        assert still_running(str(deliverables)) == []


@pytest.mark.parametrize("make", [ssh_host, trusted_host])
def test_an_opening_that_hangs_is_given_up_on_the_host(
    ssh: Ssh, tmp_path: Path, make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_deliverable, "OPENING", 0.5)

    async def program() -> None:
        async with connected(make(ssh, tmp_path / "task")) as host:
            await run_in_trio(lambda boundary: check(boundary, host))

    run(program())
