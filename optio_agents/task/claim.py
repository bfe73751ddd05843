"""The claim on a task's directory: one run at a time uses it, and only the run that holds the claim removes it.

    claimed ──(the run ends in order, its work is saved or not wanted)──> removed
       └────(its work could not be saved, or the worker is killed)──────> left: the next run finds its record

`run.json` in the task directory says which run uses it. On this machine the file is locked (`flock`), so the claim of a
killed worker is released. On a remote host the file only names the owner. There the claim is safe because there is one
worker per database and prefix (the worker's lease), and a directory that belongs to another process is refused.

Runs of one worker that follow each other at once (cancelled and launched again) wait for each other.
"""

from __future__ import annotations

import asyncio
import enum
import fcntl
import json
import os
import secrets
import socket
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Self
from weakref import WeakValueDictionary

from optio_agents.hosts import shell
from optio_agents.hosts.adapt import run_repeatable
from optio_agents.protocol.display import display_text
from optio_agents.task.cancellation import CancelledWhileWaiting

RECORD = "run.json"
"""The file name of the record in the task directory, next to the workdir."""

RECORD_BYTES = 4096
"""At most this much of a record is read: the agent runs as the same user and may have written it."""

WAIT_SECONDS = 30.0
"""How long a run waits for an earlier run of the same worker in its directory. Every run ends sooner than that."""


class DirectoryInUse(Exception):  # noqa: N818 - named for what is the matter
    """The task directory belongs to another run, or to another process: the configuration's fault."""


@dataclass(frozen=True, slots=True)
class RunRecord:
    """Which run uses a directory. Everything in it may have been written by an agent."""

    process: str
    """optio's id of the process."""
    owner: str
    """Database, prefix and record of the process: the same for each of its runs."""
    worker: str
    """Host name and pid."""
    since: str
    run: str = field(default_factory=lambda: secrets.token_hex(8))

    @classmethod
    def of(cls, ctx: Any) -> Self:
        """The record of the run that `ctx` is for."""
        database = getattr(getattr(ctx, "_db", None), "name", "")
        return cls(
            process=str(getattr(ctx, "process_id", "")),
            owner=f"{database}/{getattr(ctx, '_prefix', '')}/{getattr(ctx, '_process_oid', '')}",
            worker=f"{socket.gethostname()}, pid {os.getpid()}",
            since=datetime.now(UTC).isoformat(timespec="seconds"),
        )

    def to_json(self) -> str:
        """One line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: bytes | str) -> Self | None:
        """Read a record; `None` for an empty one. One that cannot be read is that of an unknown run."""
        if not text:
            return None
        try:
            fields = json.loads(text)
            return cls(**{name: display_text(str(fields[name]))[:200] for name in cls.__slots__})
        except (ValueError, TypeError, KeyError, RecursionError):
            return cls("unknown", "", "unknown", "unknown", "")

    def __str__(self) -> str:
        return f"process {self.process} of {self.owner} (worker {self.worker}, since {self.since})"


class Disposition(enum.Enum):
    """What happens to a task directory when the claim on it is released."""

    REMOVE = "remove"
    """Nothing in it is needed any more."""
    KEEP = "keep"
    """The user wants to look at it; the next run may wipe it."""
    UNSAVED = "unsaved"
    """It holds the only copy of the run's work."""


class DirectoryClaim:
    """A claim that is held. Made by `claimed`.

    Attributes:
        previous: the record of an earlier run that left its work here, if one did.
        disposition: what happens to the directory. By default its work counts as not saved.
    """

    def __init__(self, host: Any, record: RunRecord) -> None:
        self._host = host
        self._record = record
        self.previous: RunRecord | None = None
        self.disposition = Disposition.UNSAVED

    async def take(self) -> None:
        """Take it.

        Raises:
            DirectoryInUse: another run has it.
        """
        raise NotImplementedError

    async def sign(self) -> None:
        """Write into the record that this run now owns the directory."""
        raise NotImplementedError

    async def release(self) -> None:
        """Release it, and do with the directory what `disposition` says."""
        raise NotImplementedError


class _LocalClaim(DirectoryClaim):
    """A claim on a directory of this machine: an advisory lock on its record."""

    _descriptor: int | None = None

    async def take(self) -> None:
        path = os.path.join(self._host.taskdir, RECORD)
        while self._descriptor is None:
            # The directory may be removed by its last owner between any two of these steps.
            with suppress(FileNotFoundError):
                os.makedirs(self._host.taskdir, mode=0o700, exist_ok=True)
                _make_way(path)
                self._descriptor = self._lock(path)
        self.previous = RunRecord.from_json(os.pread(self._descriptor, RECORD_BYTES, 0))

    async def sign(self) -> None:
        assert self._descriptor is not None
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, self._record.to_json().encode(), 0)

    def _lock(self, path: str) -> int | None:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        descriptor = os.open(path, flags, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(descriptor), os.stat(path, follow_symlinks=False)):
                return descriptor
        except BlockingIOError:
            owner = RunRecord.from_json(os.pread(descriptor, RECORD_BYTES, 0))
            os.close(descriptor)
            raise _in_use(self._host.taskdir, owner) from None
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # the file was removed meanwhile: this lock protects nothing
        return None

    async def release(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is None:
            return
        try:
            if self.disposition is Disposition.REMOVE:
                await self._host.cleanup_taskdir(False)
            elif self.disposition is Disposition.KEEP:
                os.ftruncate(descriptor, 0)
        finally:
            os.close(descriptor)


def _make_way(path: str) -> None:
    """If the agent has replaced the record by something other than a file, move that aside."""
    with suppress(FileNotFoundError):
        if not stat.S_ISREG(os.lstat(path).st_mode):
            os.rename(path, f"{path}.{secrets.token_hex(4)}")


_READ_RECORD = f"""
umask 077
mkdir -p -- "$1" && cd -- "$1" || exit 1
[ -L {RECORD} ] && rm -f {RECORD}
head -c {RECORD_BYTES} {RECORD} 2>/dev/null
exit 0
"""
_WRITE_RECORD = f"""
umask 077
cd -- "$1" && printf '%s' "$2" > {RECORD}.new && mv -f {RECORD}.new {RECORD}
"""
_IS_OURS = f"""
cd -- "$1" 2>/dev/null || exit 3
case $(head -c {RECORD_BYTES} {RECORD} 2>/dev/null) in *"$2"*) exit 0;; esac
exit 3
"""


class _RemoteClaim(DirectoryClaim):
    """A claim on a directory of a remote host: its record names us."""

    async def take(self) -> None:
        taskdir = self._host.taskdir
        read = await self._run(_READ_RECORD, taskdir)
        if read.exit_code:
            raise OSError(f"the task directory {taskdir} cannot be used: {read.stderr.strip()}")
        self.previous = RunRecord.from_json(read.stdout)
        if self.previous is not None and self.previous.owner != self._record.owner:
            raise _in_use(taskdir, self.previous)

    async def sign(self) -> None:
        written = await self._run(_WRITE_RECORD, self._host.taskdir, self._record.to_json())
        if written.exit_code:
            raise OSError(f"the task directory {self._host.taskdir} cannot be used: {written.stderr.strip()}")

    async def release(self) -> None:
        if self.disposition is Disposition.UNSAVED:
            return
        if (await self._run(_IS_OURS, self._host.taskdir, self._record.run)).exit_code:
            return  # another worker owns the process by now
        if self.disposition is Disposition.REMOVE:
            await self._host.cleanup_taskdir(False)
        else:
            await self._run(_WRITE_RECORD, self._host.taskdir, "")

    async def _run(self, script: str, *arguments: str) -> Any:
        return await run_repeatable(self._host, shell.command(script, *arguments))


@asynccontextmanager
async def claimed(host: Any, ctx: Any, *, sign: bool = True) -> AsyncIterator[DirectoryClaim]:
    """Hold the claim on the task directory of `host` while the block runs.

    Args:
        host: optio-host's `LocalHost` or `RemoteHost`, connected.
        ctx: the process context of the run.
        sign: this run owns the directory from now on. `False`: only handle what an earlier run has left there.

    Raises:
        DirectoryInUse: another worker's run has it, or an earlier run of this worker does not end.
        CancelledWhileWaiting: optio requested cancellation before the claim was obtained.
        OSError: the directory cannot be made or read.
    """
    ssh = getattr(host, "_ssh", None)
    claim = (_LocalClaim if ssh is None else _RemoteClaim)(host, RunRecord.of(ctx))
    machine = "" if ssh is None else f"{ssh.user}@{ssh.host}:{ssh.port}:"
    async with _after_earlier_runs(machine + host.taskdir, ctx):
        await claim.take()
        try:
            if sign:
                await claim.sign()
            yield claim
        finally:
            await claim.release()


def is_claimed(taskdir: str) -> bool | None:
    """Whether a run on this machine holds the claim on a directory; `None` if no run has left a record there."""
    try:
        descriptor = os.open(
            os.path.join(taskdir, RECORD), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        )
    except OSError:
        return None
    try:
        if os.fstat(descriptor).st_size == 0:
            return None
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


_turns: WeakValueDictionary[tuple[int, str], asyncio.Lock] = WeakValueDictionary()
"""For each directory that a run of this process uses: the lock that the runs take in turn, per event loop."""


@asynccontextmanager
async def _after_earlier_runs(where: str, ctx: Any) -> AsyncIterator[None]:
    turn = _turns.setdefault((id(asyncio.get_running_loop()), where), asyncio.Lock())
    if turn.locked():
        ctx.report_progress(None, "Waiting for the previous run of this task to end")
    await _acquire(turn, where, ctx)
    try:
        yield
    finally:
        turn.release()


async def _acquire(turn: asyncio.Lock, where: str, ctx: Any) -> None:
    flag = getattr(ctx, "cancellation_flag", None) or asyncio.Event()
    mine, asked = asyncio.ensure_future(turn.acquire()), asyncio.ensure_future(flag.wait())
    try:
        await asyncio.wait({mine, asked}, timeout=WAIT_SECONDS, return_when=asyncio.FIRST_COMPLETED)
    except BaseException:
        if mine.done():
            turn.release()
        raise
    finally:
        asked.cancel()
        had = mine.done()
        mine.cancel()
    if not had and asked.done() and not asked.cancelled():
        raise CancelledWhileWaiting("cancelled while the previous run of this task was ending")
    if not had:
        raise DirectoryInUse(
            f"the previous run of this task still uses {where} after {WAIT_SECONDS:g} s; launch it again later"
        )


def _in_use(directory: str, owner: RunRecord | None) -> DirectoryInUse:
    return DirectoryInUse(
        f"the task directory {directory} is in use by {owner or 'another run'}. Give each worker a directory of its "
        "own for its tasks (OPTIO_AGENTS_TASK_ROOT, on a remote host OPTIO_AGENTS_REMOTE_TASK_ROOT), or give this "
        "task another taskdir"
    )
