r"""A command that works in any login shell, and whose output cannot be mistaken for the shell's own. Sans-IO.

sshd gives our command line to the account's login shell, which may be csh or fish, may print a greeting, and may be no
shell at all. So the command line is a single simple command with quoting that all of these understand (no backslash,
no newline, no `!`). It reads the program itself from standard input: a given number of bytes, one at a time, so that
the bytes after them are left for the program. The program first prints a nonce on both of its outputs. What comes
before the nonce is foreign, and is kept for error messages only.
"""

from __future__ import annotations

import re
import secrets
import shlex

GREETING_LIMIT = 1 << 20
"""Bytes that a login shell may print before our program runs."""

_EXCERPT = 500
_LABEL = re.compile(r"[^A-Za-z0-9 ._/:=-]")


class Framed:
    """One program, framed.

    Args:
        script: for a POSIX shell; may be any bytes but NUL. Standard input is the program's own.
        label: what it does, in a few words: shown by `ps` on the host.

    Attributes:
        command_line: the command line for the login shell.
        program: what is written to standard input first.
        nonce: what the program prints when it begins (and is known to it as `$nonce`).
    """

    def __init__(self, script: str, label: str) -> None:
        self.nonce = secrets.token_hex(16).encode()
        prologue = (
            f"unset CDPATH; nonce={self.nonce.decode()}\n"
            'printf "%s\\n" "$nonce"; printf "%s\\n" "$nonce" >&2\n'
        )
        self.program = (prologue + script).encode("utf-8", "surrogateescape")
        if b"\0" in self.program:
            raise ValueError("a shell program cannot hold a NUL")
        read = f'eval "$(dd bs=1 count={len(self.program)} 2>/dev/null)"'
        self.command_line = f"exec sh -c '{read}' '{_LABEL.sub('_', f'optio-agents: {label}')[:200]}'"


class Opening:
    """Finds the nonce in a stream and separates foreign output from ours. `feed` is called until `found`.

    Attributes:
        found: whether our output has begun.
        foreign: the first bytes that came before it.
        size: the number of bytes that came before it.
    """

    def __init__(self, nonce: bytes) -> None:
        self._mark = nonce + b"\n"
        self._held = b""
        self.found = False
        self.foreign = b""
        self.size = 0

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes of the stream; return those that are ours."""
        if self.found:
            return data
        data = self._held + data
        foreign, self.found, ours = _partition(data, self._mark)
        if not self.found:
            keep = len(self._mark) - 1
            foreign, self._held = data[:-keep], data[-keep:]
        self.size += len(foreign)
        self.foreign += foreign[: max(0, 4 * _EXCERPT - len(self.foreign))]
        return ours

    def said(self) -> str:
        """What came before our output, or instead of it, as text for an error message."""
        return excerpt(self.foreign + (b"" if self.found else self._held))


def _partition(data: bytes, mark: bytes) -> tuple[bytes, bool, bytes]:
    before, found, after = data.partition(mark)
    return before, bool(found), after


def excerpt(data: bytes) -> str:
    """What the host printed, for an error message: printable, one line, not too long."""
    text = data.decode("utf-8", "replace")
    words = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return words if len(words) <= _EXCERPT else words[: _EXCERPT - 1] + "…"


class FrameEnding:
    """Finds the end of a command in a stream: the nonce once more, with a number after it.

    Attributes:
        number: the command's exit status, once the end was found.
    """

    def __init__(self, nonce: bytes) -> None:
        self._mark = re.compile(rb"\n" + nonce + rb" (\d{1,3})\n")
        self._longest = len(nonce) + 6
        self._held = b""
        self.number: int | None = None

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes; return those that are certainly the command's. What comes after its end is dropped."""
        if self.number is not None:
            return b""
        data = self._held + data
        if (match := self._mark.search(data)) is not None:
            self.number, self._held = int(match[1]), b""
            return data[: match.start()]
        self._held = data[-self._longest :]
        return data[: -self._longest]

    def rest(self) -> bytes:
        """What is left when the stream ended without the mark."""
        held, self._held = self._held, b""
        return held


_RUN = """
{{ {change}{{ {exports}sh -c {command}
}}; }} </dev/null
status=$?
printf '\\n%s %d\\n' "$nonce" "$status" >&2
printf '\\n%s %d\\n' "$nonce" "$status"
exit 0
"""


def to_the_end(command: str, *, cwd: str | None = None, env: dict[str, str] | None = None) -> str:
    """A script that runs a `/bin/sh` command line with an empty standard input and marks the end of its output.

    Processes that the command leaves running may hold the output open: the mark is the end of the command itself.
    """
    change = "" if cwd is None else f"cd -- {shlex.quote(cwd)} && "
    exports = "".join(f"export {name}={shlex.quote(value)}; " for name, value in (env or {}).items())
    return _RUN.format(change=change, exports=exports, command=shlex.quote(command))
