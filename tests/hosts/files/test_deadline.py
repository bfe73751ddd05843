"""A file system that does not answer costs a thread and a deadline, never the loop."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import trio

from optio_agents.hosts.files.deadline import THREADS, DeadlineThreads
from tests.support.descriptors import open_descriptors


async def test_a_call_that_hangs_is_left_at_its_deadline_and_its_result_is_given_back() -> None:
    release, discarded = threading.Event(), threading.Event()
    before = len(open_descriptors())

    def hang() -> int:
        release.wait()
        return os.open("/dev/null", os.O_RDONLY)

    def discard(descriptor: int) -> None:
        os.close(descriptor)
        discarded.set()

    with pytest.raises(TimeoutError, match="has not answered") as caught:
        await DeadlineThreads(0.1).run(hang, discard=discard)
    assert caught.value.errno == errno.ETIMEDOUT
    release.set()
    assert await trio.to_thread.run_sync(discarded.wait, 60)
    assert len(open_descriptors()) == before


async def test_one_task_does_not_take_the_threads_of_all() -> None:
    release = threading.Event()
    hanging = DeadlineThreads(0.2)
    async with trio.open_nursery() as nursery:

        async def hang() -> None:
            with pytest.raises(TimeoutError):
                await hanging.run(release.wait)

        for _ in range(THREADS + 50):
            nursery.start_soon(hang)
        await trio.testing.wait_all_tasks_blocked()
        assert await DeadlineThreads().run(lambda: "answered") == "answered"
    release.set()


async def test_a_context_manager_is_entered_and_left_in_threads() -> None:
    seen: list[object] = []

    @contextmanager
    def manager() -> Iterator[int]:
        seen.append(threading.current_thread() is threading.main_thread())
        try:
            yield 7
        except ValueError as error:
            seen.append(str(error))
            raise
        seen.append("left")

    threads = DeadlineThreads()
    async with threads.entered(manager()) as value:
        assert value == 7
    with pytest.raises(ValueError, match="mine"):
        async with threads.entered(manager()):
            raise ValueError("mine")
    assert seen == [False, "left", False, "mine"]


PROGRAM = r"""
import ctypes, os, struct, subprocess, sys, threading, time
import trio
from optio_agents.hosts.local import LocalHost
from optio_agents.protocol.rejections import DeliverableRejected

SERVER = '''
import os, struct, sys, time
fd = int(sys.argv[1])
while True:
    try: request = os.read(fd, 1 << 20)
    except PermissionError: time.sleep(0.02); continue
    except OSError: break
    _, code, unique, _ = struct.unpack_from("<IIQQ", request)
    answer = struct.pack("<IiQ", 16, -38, unique)
    if code == 26:
        answer = struct.pack("<IiQ", 76, 0, unique)
        answer += struct.pack("<IIIIHHIIHH", 7, 31, 65536, 0, 16, 12, 131072, 1, 32, 0) + bytes(28)
    if code in (1, 3, 14, 27): continue  # lookup, getattr, open, opendir: no answer, ever
    try: os.write(fd, answer)
    except OSError: pass
'''

async def main():
    worst = 0.0
    async def tick():
        nonlocal worst
        while True:
            begin = time.monotonic()
            await trio.sleep(0.02)
            worst = max(worst, time.monotonic() - begin)
    host = LocalHost(sys.argv[1])
    host.files._threads._seconds = host._threads._seconds = 0.5
    await host.setup_workdir()
    await host.prepare_channel()
    fuse = os.open("/dev/fuse", os.O_RDWR)
    server = subprocess.Popen([sys.executable, "-c", SERVER, str(fuse)], pass_fds=[fuse])
    target = f"{host.workdir}/deliverables/silent"
    os.mkdir(target)
    libc = ctypes.CDLL(None, use_errno=True)
    options = f"fd={fuse},rootmode=40000,user_id=0,group_id=0"
    if libc.mount(b"silent", target.encode(), b"fuse", 0, options.encode()):
        sys.exit(77)
    os.close(fuse)
    said = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(tick)
        try:
            async with host.open_deliverable("silent/x", limit=100):
                pass
        except DeliverableRejected as rejected:
            said.append(rejected.kind.value)
        for call in (host.fetch_bytes_from_host, host.remove_file):
            try:
                await call(f"{target}/x")
            except TimeoutError:
                said.append("timeout")
        nursery.cancel_scope.cancel()
    print(said, worst < 2)
    sys.stdout.flush()
    server.kill()
    libc.umount2(target.encode(), 2)
    os._exit(0)  # threads hang in the kernel until the mount is gone

trio.run(main)
"""


def test_a_mounted_file_system_that_never_answers_holds_nothing_up(tmp_path: object) -> None:
    unshare = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-rm"]
    if not os.path.exists("/dev/fuse") or subprocess.run([*unshare, "true"], capture_output=True).returncode:
        pytest.skip("needs FUSE and mount namespaces")
    done = subprocess.run(
        [*unshare, sys.executable, "-c", PROGRAM, f"{tmp_path}/task"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    if done.returncode == 77:
        pytest.skip("FUSE cannot be mounted here")
    assert done.stdout == "['unreadable', 'timeout', 'timeout'] True\n", done.stderr
