"""A real sshd whose other side lies: each command of a session hangs, fails, is cut short, or answers without end.

One command of each session is bent, by its number. What the session does about it differs (it fails, or asks once
more), but there is one outcome, of a known type, in bounded time and memory, and nothing is left on either side.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from optio_agents import get_protocol, run_log_protocol_session
from optio_agents.hosts import remote_deliverable
from optio_agents.hosts.log import remote_reader
from optio_agents.hosts.ssh import channels, command
from optio_agents.protocol.session import Ending, SessionFailed, SessionOptions, SessionOutcome
from optio_agents.session.events import Ended, SessionEvent
from tests.support.asyncio_trials import AsyncioCtx
from tests.support.descriptors import described_descriptors
from tests.support.remote_task import BentHost, bent_host, run, still_running, trusted_host
from tests.support.ssh_host import connected, ssh_host

pytestmark = pytest.mark.servers

MARK_BYTES = 33
"""What a command of ours prints first: with less, it has not begun."""

FAULTS = {
    "hangs": "exec cat >/dev/null",
    "hangs once it has begun": (
        'exec 5<&0; sh -c "$SSH_ORIGINAL_COMMAND" <&5 | '
        f"{{ head -c {MARK_BYTES}; cat >/dev/null; exec cat <&5 >/dev/null; }}"
    ),
    "fails": "echo no >&2; exit 3",
    "is cut short": f'sh -c "$SSH_ORIGINAL_COMMAND" | head -c {MARK_BYTES + 20}',
    "does not end": 'sh -c "$SSH_ORIGINAL_COMMAND"; exec yes "$0"',
    "is endless": 'exec yes "$0"',
}
COMMANDS = 9
"""More than a session needs, so that the last trials are not disturbed."""

SECONDS = 60.0
MEMORY_KIB = 120_000
"""What the largest session may take more than the smallest; what is read and not limited would be gigabytes."""


HOSTS = {"optio-host's": ssh_host, "ours": trusted_host}


def grid() -> Iterator[Any]:
    """Each command with each fault, on both kinds of host; the gate tries each command with one of them on one host."""
    for number in range(COMMANDS):
        for index, fault in enumerate(FAULTS):
            for side, host in enumerate(HOSTS):
                is_quick = index == number % len(FAULTS) and side == number % 2
                marks = [] if is_quick else [pytest.mark.long]
                yield pytest.param(number, fault, host, marks=marks, id=f"{host} command {number} {fault}")


@pytest.fixture(scope="module")
def bent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BentHost]:
    with bent_host(tmp_path_factory.mktemp("lying")) as host:
        yield host


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "SHELL_SECONDS", 1.0)
    monkeypatch.setattr(channels, "RECONNECT", 2.0)
    monkeypatch.setattr(remote_deliverable, "OPENING", 1.0)
    monkeypatch.setattr(remote_reader, "ANSWER", 2.0)


@dataclass
class Lied:
    """What one session came to."""

    raised: BaseException | None = None
    ended: list[SessionOutcome] = field(default_factory=list)
    taken: dict[str, str] = field(default_factory=dict)

    def observe(self, event: SessionEvent) -> None:
        if isinstance(event, Ended):
            self.ended.append(event.outcome)


async def session(host: Any) -> Lied:
    lied = Lied()

    async def body(host: Any, hook_ctx: Any) -> None:
        workdir = Path(host.workdir)
        (workdir / "deliverables/report").write_text("the content")
        with (workdir / "optio.log").open("a") as log:
            log.write("DELIVERABLE: deliverables/report\nDONE: all of it\n")
        await asyncio.Event().wait()

    async def take(hook_ctx: Any, path: str, text: str) -> None:
        lied.taken[path] = text

    options = SessionOptions(on_event=lied.observe, host_timeout=3.0, drain_timeout=5.0, cancel_grace=1.0)
    try:
        async with asyncio.timeout(SECONDS), connected(host):
            await run_log_protocol_session(
                host,
                AsyncioCtx(),
                body=body,
                on_deliverable=take,
                protocol=get_protocol(browser="redirect"),
                options=options,
            )
    except (SessionFailed, OSError) as error:
        lied.raised = error
    return lied


def peak_memory() -> int:
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins again at what is used now
    return _memory()


def _memory() -> int:
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])


@pytest.mark.parametrize(("number", "fault", "kind"), list(grid()))
def test_one_outcome_whatever_a_host_does(
    bent: BentHost, tmp_path: Path, number: int, fault: str, kind: str
) -> None:
    counter = tmp_path / "counter"
    counter.mkdir()
    bent.bend(f"""
        n=0; while ! mkdir {counter}/$n 2>/dev/null; do n=$((n + 1)); done
        [ $n = {number} ] || exec /bin/sh -c "$SSH_ORIGINAL_COMMAND"
        {FAULTS[fault]}
    """)
    before, memory = described_descriptors(), peak_memory()
    lied = run(session(HOSTS[kind](bent.ssh, tmp_path / "task")))
    commands = len(os.listdir(counter))
    note = f"{lied}, {commands} commands"
    assert commands <= COMMANDS, note
    assert len(lied.ended) == (not isinstance(lied.raised, TimeoutError)), note
    if lied.raised is None:
        assert lied.ended[0].ending is Ending.DONE, note
        assert lied.taken in ({"report": "the content"}, {}), note
        assert lied.taken or not lied.ended[0].deliverables[0].accepted, note
    else:
        assert str(lied.raised), note
    if commands <= number:
        assert lied.raised is None, note
        assert lied.taken, note
    assert _memory() - memory < MEMORY_KIB, note
    assert still_running(str(tmp_path / "task")) == [], note
    assert still_running(str(bent.ssh.key.parent / "login")) == [], note
    assert described_descriptors() <= before, note
    shutil.rmtree(tmp_path / "task", ignore_errors=True)
