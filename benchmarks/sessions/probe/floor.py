"""What a line costs a program that does nothing else: it is woken by inotify, reads, and looks at the clock.

Parameters: `world` (`machine`: bare Python that waits in epoll; `trio`: one task of a Trio program), `samples`, `seed`.
"""

from __future__ import annotations

import ctypes
import os
import select
import time
from collections.abc import Callable
from typing import Any

from benchmarks.sessions.probe import agent
from benchmarks.sessions.probe.sessions import task_directory

IN_MODIFY = 0x2


def measure(parameters: dict[str, Any]) -> dict[str, Any]:
    """Collect `samples` latencies, in seconds."""
    follow = _follow_with_trio if parameters["world"] == "trio" else _follow_with_epoll
    with task_directory() as directory:
        path = os.path.join(directory, "optio.log")
        log = os.open(path, os.O_RDONLY | os.O_CREAT)
        libc = ctypes.CDLL(None, use_errno=True)
        inotify = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if libc.inotify_add_watch(inotify, os.fsencode(path), IN_MODIFY) < 0:
            raise OSError(ctypes.get_errno(), "inotify cannot be used here")
        writer = agent.start(path, parameters["samples"], parameters["seed"])
        taken = _Taken(log)
        follow(inotify, taken.take)
        writer.wait()
        os.close(inotify)
        os.close(log)
    return {"latencies": taken.latencies}


class _Taken:
    """What was read of the log so far."""

    def __init__(self, log: int) -> None:
        self.latencies: list[float] = []
        self._log = log
        self._offset = 0

    def take(self) -> bool:
        """Read what is new; return whether more will come."""
        data = os.pread(self._log, 4096, self._offset)
        now = time.monotonic_ns()
        self._offset += len(data)
        for line in data.decode().splitlines():
            if (seconds := agent.age(line, now)) is not None:
                self.latencies.append(seconds)
        return not data.endswith(b"DONE\n")


def _follow_with_epoll(inotify: int, take: Callable[[], bool]) -> None:
    with select.epoll() as epoll:
        epoll.register(inotify, select.EPOLLIN)
        while take():
            epoll.poll()
            os.read(inotify, 4096)


def _follow_with_trio(inotify: int, take: Callable[[], bool]) -> None:
    import trio

    async def follow() -> None:
        while take():
            await trio.lowlevel.wait_readable(inotify)
            os.read(inotify, 4096)

    trio.run(follow)
