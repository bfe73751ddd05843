"""Sessions whose agent mounts a file system that misbehaves (see `faulty_fuse`): what became of each.

Run as a program in a mount namespace of its own: `fuse_sessions.py DIRECTORY`. It prints one line of JSON for each
scenario, or ends with status 77 where FUSE cannot be mounted.
"""

from __future__ import annotations

import ctypes
import dataclasses
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import trio

import actors
from optio_agents import HookContext, run_log_protocol_session
from optio_agents.hosts.base import LogLost
from optio_agents.hosts.local import LocalHost
from optio_agents.protocol.session import SessionFailed
from optio_agents.session import topology
from tests.support import faulty_fuse
from tests.support.descriptors import described_descriptors
from tests.support.session import RecordingCtx

ANSWER = 0.5
_libc = ctypes.CDLL(None, use_errno=True)


@dataclasses.dataclass
class Scenario:
    """A session: the place that is mounted over, the request that goes wrong, and how."""

    place: str
    """What is mounted over, relative to the workdir: a directory of deliverables, one of them, the log, the workdir
    (`.`), the task's directory (`..`).
    """
    operation: str
    fault: str
    end: str
    """What the agent does last: `DONE`, or `return` without it."""


def scenarios() -> Iterator[Scenario]:
    """All of them."""
    for fault in ("hang", "error"):
        for operation in ("lookup", "getattr", "open", "read"):
            yield Scenario("deliverables/mounted", operation, fault, "DONE")
        for operation in ("getattr", "open", "read"):
            yield Scenario("deliverables/mounted/x", operation, fault, "DONE")
        for place, operations in (
            ("optio.log", ("getattr", "open")),
            (".", ("getattr", "opendir")),
            ("..", ("lookup", "opendir")),
        ):
            for operation in operations:
                for end in ("DONE", "return"):
                    yield Scenario(place, operation, fault, end)
    for place in ("deliverables/mounted", "deliverables/mounted/x"):
        for fault in ("truncate", "excess"):
            yield Scenario(place, "read", fault, "DONE")


@contextmanager
def mounted(path: str, scenario: Scenario) -> Iterator[None]:
    """Have the faulty file system at `path`."""
    is_file = os.path.isfile(path)
    fuse = os.open("/dev/fuse", os.O_RDWR)
    kind = "file" if is_file else "directory"
    command = [sys.executable, faulty_fuse.__file__, str(fuse), scenario.operation, scenario.fault, kind]
    server = subprocess.Popen(command, pass_fds=[fuse])
    options = f"fd={fuse},rootmode={100644 if is_file else 40755},user_id=0,group_id=0"
    failed = _libc.mount(b"faulty", os.fsencode(path), b"fuse", 0, options.encode())
    os.close(fuse)
    if failed:
        sys.exit(77)
    try:
        yield
    finally:
        server.kill()
        server.wait()
        _libc.umount2(os.fsencode(path), 2)  # MNT_DETACH


class Session:
    """One scenario's session."""

    def __init__(self, scenario: Scenario, taskdir: str) -> None:
        self.scenario = scenario
        self.host = LocalHost(taskdir)
        for threads in (self.host.files._threads, self.host._threads, self.host._removals):
            threads._seconds = ANSWER
        self.replies: list[str] = []
        self._replied = trio.Event()
        self.worst = 0.0

    async def run(self) -> dict[str, Any]:
        """Run it; what became of it."""
        before, began = described_descriptors(), time.monotonic()
        result: dict[str, Any] = {}
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._tick)
            try:
                with trio.fail_after(60):
                    outcome = await run_log_protocol_session(
                        self.host,
                        RecordingCtx(),
                        body=self._body,
                        on_deliverable=self._take,
                        agent_sender=self._hear,
                        after_execute=self._clean_up,
                    )
            except SessionFailed as failed:
                outcome = failed.outcome
                result["failed"] = True
            nursery.cancel_scope.cancel()
        result["ending"] = outcome.ending.value
        result["message"] = outcome.message
        result["deliverables"] = {
            each.path: "accepted" if each.accepted else each.kind and each.kind.value
            for each in outcome.deliverables
        }
        result["sizes"] = {each.path: each.size for each in outcome.deliverables}
        result["seconds"] = time.monotonic() - began
        result["worst"] = self.worst
        deadline = time.monotonic() + 30  # threads that hung are let go of with the mount
        while described_descriptors() - before and time.monotonic() < deadline:
            await trio.sleep(0.05)
        result["left open"] = sorted(described_descriptors() - before)
        await self.host.cleanup_taskdir(aggressive=True)
        result["left"] = os.path.exists(self.host.taskdir)
        return result

    async def _tick(self) -> None:
        while True:
            began = time.monotonic()
            await trio.sleep(0.02)
            self.worst = max(self.worst, time.monotonic() - began)

    async def _body(self, host: LocalHost, hook_ctx: HookContext) -> None:
        deliverables = Path(host.workdir, "deliverables")
        (deliverables / "good").write_text("good")
        (deliverables / "mounted").mkdir()
        (deliverables / "mounted/x").write_text("beneath")
        log = os.open(f"{host.workdir}/optio.log", os.O_WRONLY | os.O_APPEND)
        try:
            with mounted(os.path.normpath(f"{host.workdir}/{self.scenario.place}"), self.scenario):
                for path in ("mounted/x", "good"):
                    os.write(log, f"DELIVERABLE: deliverables/{path}\n".encode())
                with trio.move_on_after(20):
                    await self._replied.wait()
                if self.scenario.end == "return":
                    await self._clean_up(hook_ctx)
                    return
                os.write(log, b"DONE\n")
                await trio.sleep_forever()
        finally:
            os.close(log)

    async def _take(self, hook_ctx: HookContext, path: str, text: str) -> None:
        await trio.lowlevel.checkpoint()

    async def _hear(self, message: str) -> None:
        await trio.lowlevel.checkpoint()
        self.replies.append(message)
        if len(self.replies) == 2:
            self._replied.set()

    async def _clean_up(self, hook_ctx: HookContext) -> None:
        if self.scenario.place != "optio.log":  # the log is still to be read
            with trio.fail_after(30):
                await self.host.cleanup_taskdir(aggressive=False)


def main() -> None:
    """Run all scenarios."""
    topology.READER_RESTARTS = actors.Intensity(  # type: ignore[attr-defined]
        restarts=1, seconds=60.0, backoff=actors.Backoff(first=0.01), causes=(LogLost,)
    )
    for number, scenario in enumerate(scenarios()):
        session = Session(scenario, f"{sys.argv[1]}/{number}")
        result = {**dataclasses.asdict(scenario), **trio.run(session.run)}
        result["memory"] = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
        print(json.dumps(result), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
