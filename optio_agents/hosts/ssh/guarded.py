"""An agent on a remote host under a guard (`guard.sh`): it outlives our connection, and we reconnect to it.

The guard runs on the host without us. One command attaches us to it: it prints the agent's output from the byte at
which we were, takes numbered messages for its input, and passes on heartbeats. If the connection is lost we attach
again. A message that was in transit is sent again, and the guard accepts it once. If no client has been attached for
the grace period, the guard ends the agent.
"""

from __future__ import annotations

import asyncio
import math
import re
import secrets
import shlex
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.resources import files

from optio_agents.hosts import shell
from optio_agents.hosts.ssh.channels import REPEATS, Channels
from optio_agents.hosts.ssh.command import CommandOutput, RemoteCommand
from optio_agents.hosts.ssh.errors import ConnectionGone, HostFailed, HostGone
from optio_agents.hosts.ssh.framing import excerpt
from optio_agents.hosts.ssh.settings import ORPHAN_GRACE
from optio_agents.hosts.userland import Userland

GUARD = shell.MEMBERS + files(__package__).joinpath("guard.sh").read_text("utf-8")

BUFFER = 1 << 20
"""Bytes of output that are held here for a slow reader."""

_SIGNALS = range(129, 129 + 64)
"""The statuses with which a shell reports that a signal has ended a program."""


@dataclass(frozen=True, slots=True)
class OrphanPolicy:
    """What the guard does with its program if no client reconnects.

    Attributes:
        grace: seconds until the guard ends the program; rounded up to whole ones.
        remove: a directory that is removed then. None: everything is kept.
    """

    grace: float = ORPHAN_GRACE
    remove: str | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """A record of the guard within the agent's output."""

    word: str
    number: int
    size: int
    """Its size in the stream, in bytes."""


class RecordFinder:
    """Splits a stream into output and records. Sans-IO.

    Args:
        nonce: the text that begins a record.
    """

    def __init__(self, nonce: str) -> None:
        self._nonce = nonce.encode()
        self._record = re.compile(rb"%b ([a-z]{1,8}) (\d{1,18})\n" % self._nonce)
        self._longest = len(nonce) + 29
        self._held = b""

    def feed(self, data: bytes) -> list[bytes | Record]:
        """Take the next bytes; return the parts that are complete, in order."""
        data = self._held + data
        parts: list[bytes | Record] = []
        begin = 0
        for match in self._record.finditer(data):
            if match.start() > begin:
                parts.append(data[begin : match.start()])
            parts.append(Record(match[1].decode(), int(match[2]), match.end() - match.start()))
            begin = match.end()
        rest = data[begin:]
        keep = self._beginning_of_a_record(rest)
        self._held = rest[keep:]
        if keep:
            parts.append(rest[:keep])
        return parts

    def _beginning_of_a_record(self, rest: bytes) -> int:
        """The position of bytes that may be the beginning of a record."""
        start = max(0, len(rest) - self._longest)
        while (start := rest.find(self._nonce[:1], start)) >= 0:
            tail = rest[start : start + len(self._nonce)]
            if self._nonce.startswith(tail):
                return start
            start += 1
        return len(rest)


class GuardedProcess:
    """A program under a guard, with the methods that callers use of asyncssh's process.

    Args:
        channels: to its host.
        taskdir: its task's directory, in which the guard keeps its own.
        orphan_policy: what the guard does if no client reconnects.
    """

    def __init__(self, channels: Channels, taskdir: str, orphan_policy: OrphanPolicy) -> None:
        self._channels = channels
        self._orphan_policy = orphan_policy
        self._nonce = secrets.token_hex(16)
        self._directory = f"{taskdir}/guard-{self._nonce[:8]}"
        self.stdin = self
        self.stdout = CommandOutput(self._read)
        self._output = bytearray()
        self._segment, self._offset = 1, 0
        """Where reading continues: the number of the guard's output file, and the offset in it."""
        self._line = b""
        self._sent = 0
        self._messages: dict[int, bytes] = {}
        """The messages that the guard has not confirmed yet, by number."""
        self._input_ended = False
        self._attached: RemoteCommand | None = None
        self._changed = asyncio.Condition()
        self._room = asyncio.Event()
        self._status: int | None = None
        self._failure: OSError | None = None
        self._ended = False
        self._task: asyncio.Task[None] | None = None

    async def start(
        self,
        command: str,
        *,
        cwd: str,
        env: Mapping[str, str],
        mark: tuple[str, str],
        without: Collection[str] = (),
    ) -> None:
        """Start it.

        Args:
            command: a `/bin/sh` command line.
            cwd: where it runs.
            env: added to the environment.
            without: patterns for the names of variables that it does not inherit.
            mark: the name and value of the variable by which its processes are recognised.

        Raises:
            ConnectionGone: the connection is lost and none can be made; it may have been started.
            HostFailed: the host could not start it.
        """
        exports = "".join(
            f"export {name}={shlex.quote(value)}\n" for name, value in {**env, mark[0]: mark[1]}.items()
        )
        userland = await self._channels.userland()
        # Without `setsid` it is no session's number, but is needed where there is no /proc.
        named = [name for name, needed in (("session", userland.setsid), ("leader", True)) if needed]
        session = "".join(f"echo $$ >{shlex.quote(f'{self._directory}/{name}')}\n" for name in named)
        if without:
            names = "for name in $(env | cut -d= -f1); do"
            session += f'{names} case $name in {"|".join(without)}) unset "$name" ;; esac; done\n'
        program = f"{session}cd -- {shlex.quote(cwd)} || exit\n{exports}{command}\n"
        remove = self._orphan_policy.remove or ""
        grace = str(max(1, math.ceil(self._orphan_policy.grace)))
        text = f'{_with_guard(userland)}guard "$@"\n'
        arguments = (self._directory, grace, remove, "=".join(mark), self._nonce, program, text)
        await self._call("launch", *arguments, label="start the agent")
        self._task = asyncio.create_task(self._stay_attached())

    async def wait(self) -> int | None:
        """Wait until it has exited; its status, negative for a signal. None: it was lost."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._ended)
        return self._status

    @property
    def returncode(self) -> int | None:
        """Its status, once it has exited."""
        return self._status

    @property
    def failure(self) -> OSError | None:
        """Why it was lost."""
        return self._failure

    def write(self, data: bytes) -> None:
        """Write lines to its input. What follows the last newline waits for the rest of its line."""
        *lines, self._line = (self._line + data).split(b"\n")
        for line in lines:
            self._sent += 1
            self._messages[self._sent] = line
            self._send(self._sent, line)

    async def drain(self) -> None:
        """Wait until the guard has taken all of it.

        Raises:
            BrokenPipeError: the program has exited, or was lost.
        """
        async with self._changed:
            await self._changed.wait_for(lambda: self._ended or not self._messages)
        if self._messages:
            raise self._failure or BrokenPipeError("it has exited")

    def write_eof(self) -> None:
        """End its input."""
        if self._line:
            self.write(b"\n")
        self._input_ended = True
        if self._attached is not None:
            self._attached.write(b"end\n")

    close = write_eof

    async def end(self, seconds: float) -> str | None:
        """End it with all that it started, and its guard: TERM, then KILL, `seconds` after each at most. Idempotent.

        Returns:
            What the host reports about processes that could not be ended.

        Raises:
            ConnectionGone: the connection is lost and none can be made.
        """
        try:
            tenths = str(max(1, round(seconds * 10)))
            await self._call("end", self._directory, tenths, label="end the agent")
        except HostFailed as left:
            return str(left)
        finally:
            await self.leave()
        return None

    async def leave(self) -> None:
        """Detach for good: from now on only the guard decides about it. Idempotent."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await self._finish(None)

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Its output."""
        return self.stdout.__aiter__()

    async def _call(self, function: str, *arguments: str, label: str) -> None:
        program = _with_guard(await self._channels.userland()) + shlex.join([function, *arguments])
        status, _, errors = await self._channels.repeat(program, label)
        if status:
            raise HostFailed(excerpt(errors) or f"{label}: exit status {status}")

    async def _read(self, limit: int) -> bytes:
        async with self._changed:
            await self._changed.wait_for(lambda: self._output or self._ended)
        if not self._output and self._failure is not None:
            raise self._failure
        data = bytes(self._output[:limit])
        del self._output[:limit]
        self._room.set()
        return data

    async def _stay_attached(self) -> None:
        lost = 0
        try:
            while True:
                arguments = (self._directory, self._nonce, str(self._segment), str(self._offset))
                try:
                    program = _with_guard(await self._channels.userland()) + shlex.join(
                        ["attach", *arguments]
                    )
                    await self._attach(program)
                except HostGone:
                    raise
                except ConnectionGone:
                    lost = 0 if self._attached is not None else lost + 1
                    if lost > REPEATS:
                        raise
                finally:
                    self._attached = None
        except OSError as error:
            await self._finish(error)

    async def _attach(self, program: str) -> None:
        command = await self._channels.open(program, "attach to the agent")
        try:
            await self._pass_on(command)
        finally:
            command.close()

    async def _pass_on(self, command: RemoteCommand) -> None:
        """Pass on output and heartbeats until the connection is lost."""
        loop, finder = asyncio.get_running_loop(), RecordFinder(self._nonce)
        pause = min(15.0, max(0.25, self._orphan_policy.grace / 20))
        beat = loop.time() + pause
        while True:
            if loop.time() >= beat:
                command.write(b"beat\n")
                beat = loop.time() + pause
            try:
                async with asyncio.timeout_at(beat):
                    if len(self._output) > BUFFER:
                        self._room.clear()
                        await self._room.wait()
                        continue
                    data = await command.stdout.read()
            except TimeoutError:
                continue
            if not data:
                raise HostFailed(
                    f"the guard of the agent is gone: {await command.stderr_excerpt() or 'no reason given'}"
                )
            for part in finder.feed(data):
                await self._take(part, command)

    async def _take(self, part: bytes | Record, command: RemoteCommand) -> None:
        match part:
            case bytes():
                self._offset += len(part)
                if not self._ended:
                    self._output += part
            case Record(word="state", number=last):
                self._attached = command
                self._confirm(last)
                for number, line in self._messages.items():
                    self._send(number, line)
                if self._input_ended:
                    command.write(b"end\n")
            case Record(word="took", number=last):
                self._confirm(last)
            case Record(word="next"):
                self._segment, self._offset = self._segment + 1, 0
                command.write(b"next\n")
            case Record(word="end", number=status, size=size):
                self._offset += size
                self._status = -(status - 128) if status in _SIGNALS else status
                await self._finish(None)
            case Record(word="gone"):
                raise HostFailed("the guard of the agent is gone: its directory was removed")
            case Record():
                raise HostFailed(f"the guard of the agent says {part.word!r}")
        async with self._changed:
            self._changed.notify_all()

    def _confirm(self, last: int) -> None:
        for number in [number for number in self._messages if number <= last]:
            del self._messages[number]

    def _send(self, number: int, line: bytes) -> None:
        if self._attached is not None:
            self._attached.write(b"in %d %b\n" % (number, line))

    async def _finish(self, failure: OSError | None) -> None:
        if not self._ended:
            self._ended, self._failure = True, failure
        async with self._changed:
            self._changed.notify_all()


def _with_guard(userland: Userland) -> str:
    return f"{userland.variables()}\n{GUARD}\n"


def end_leftovers(taskdir: str, userland: Userland, variable: str, value: str, seconds: float) -> str:
    """A script that ends what earlier runs in a task directory have left: their agents and guards."""
    tenths = str(max(1, round(seconds * 10)))
    each = f'for guard in {shlex.quote(taskdir)}/guard-*; do (end "$guard" {tenths}); done'
    mark = shlex.quote(f"{variable}={value}")
    return f"{_with_guard(userland)}{each}\nmark={mark} sessions= roots=\nend_members {tenths}\n"
