"""Typing into an agent's terminal program: text and keys, through tmux.

A message is pasted with brackets (`paste-buffer -p`), so that a program which knows bracketed paste takes its line ends
as text and only the Enter that follows as "send". Messages to one session are typed one after another.

On optio-host's hosts the text reaches tmux through its standard input: what a user types (a password, perhaps) does not
show in the list of processes. On another kind of host, which can only run commands, it is an argument of one.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final

TEXT_LIMIT: Final = 100 * 1024
"""The most bytes (UTF-8) of one message. It must fit into one argument of a command, which Linux limits to 128 KiB."""

NAV_KEYS: Final = frozenset({"Up", "Down", "Left", "Right", "Enter", "Escape", "Tab"})
"""The keys that may be sent, by the names that tmux gives them."""

_COMMAND_LIMIT = 128 * 1024 - 512  # MAX_ARG_STRLEN, and room for what a host puts before the command
_PIECE = 12 * 1024  # tmux's client sends a command in one message of at most 16 KiB

# Everything of C0, DEL and C1 but newline and tab: a terminal program takes them as keys or as control sequences, the
# end of a bracketed paste among them.
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def sendable_text(text: str) -> str:
    r"""The text that is typed for `text`: line ends as `\n`, no other control character than a tab.

    Raises:
        ValueError: it holds a NUL, is longer than `TEXT_LIMIT`, or nothing of it can be typed.
    """
    if "\0" in text:
        raise ValueError("the text holds a NUL character")
    size = len(text.encode("utf-8", errors="replace"))
    if size > TEXT_LIMIT:
        raise ValueError(f"the text has {size:,} bytes, and at most {TEXT_LIMIT:,} can be typed: send a file")
    typed = _CONTROLS.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    typed = typed.encode("utf-8", errors="replace").decode()
    if not typed:
        raise ValueError("the text is empty, or consists of control characters")
    return typed


async def send_text_to_tmux(
    host: Any,
    tmux_path: str,
    tmux_socket: str,
    tmux_session: str,
    text: str,
    *,
    buffer: str = "optio-input",
    submit_settle: str = "1.0",
) -> None:
    """Type `text` into the session's pane as one message, and press Enter.

    Args:
        host: has `run_command`.
        tmux_path: the tmux program on the host.
        tmux_socket: the socket of its server.
        tmux_session: the session, or any target that tmux knows.
        text: see `sendable_text`.
        buffer: the paste buffer that is used.
        submit_settle: seconds between the paste and Enter: programs take an Enter that follows at once as part of the
            paste.

    Raises:
        ValueError: the text cannot be typed; the host was not touched.
        RuntimeError: tmux failed.
    """
    from optio_agents.bridge.exclusive import exclusive

    tmux = f"{shlex.quote(tmux_path)} -S {shlex.quote(tmux_socket)}"
    name, target = shlex.quote(buffer), shlex.quote(tmux_session)
    text = sendable_text(text)
    by_pipe = _has_pipes(host)
    command = " && ".join(
        [
            *(() if by_pipe else _set_buffer(f"{tmux} set-buffer", name, text)),
            f"{tmux} paste-buffer -d -b {name} -t {target} -p",
            f"sleep {shlex.quote(submit_settle)}",
            f"{tmux} send-keys -t {target} Enter",
        ]
    )
    if len(command.encode()) > _COMMAND_LIMIT:
        raise ValueError("the text holds so many quotes that no shell command can carry it: send a file")
    async with exclusive(("tmux", tmux_socket, tmux_session)):
        if by_pipe:
            await _load_buffer(host, f"{tmux} load-buffer -b {name} -", text)
        _check(await host.run_command(command), "the text could not be typed")


async def send_key_to_tmux(host: Any, tmux_path: str, tmux_socket: str, tmux_session: str, key: str) -> None:
    """Press one key in the session's pane.

    Raises:
        ValueError: the key is none of `NAV_KEYS`; the host was not touched.
        RuntimeError: tmux failed.
    """
    if key not in NAV_KEYS:
        raise ValueError(f"the key must be one of {', '.join(sorted(NAV_KEYS))}, not {key!r}")
    tmux = f"{shlex.quote(tmux_path)} -S {shlex.quote(tmux_socket)}"
    result = await host.run_command(f"{tmux} send-keys -t {shlex.quote(tmux_session)} {key}")
    _check(result, f"the key {key} could not be sent")


def _has_pipes(host: Any) -> bool:
    """Whether `host` is one of optio-host's, which can write to the standard input of a process."""
    from optio_agents.hosts.kinds import is_optio_local, is_optio_remote

    return is_optio_local(host, "run_command") or is_optio_remote(host, "run_command")


async def _load_buffer(host: Any, command: str, text: str) -> None:
    """Run `command` on one of optio-host's hosts and write `text` to its standard input.

    Raises:
        RuntimeError: it failed. The text has what it said.
    """
    from optio_host.host import proc_wait

    process = await host.launch_subprocess(f"exec {command}", stdin=True)
    ended = False
    try:
        # A server that is gone takes no text; what it says follows below.
        with suppress(BrokenPipeError, ConnectionResetError):
            process.stdin.write(text.encode())
            await process.stdin.drain()
        process.stdin.close()
        said = b"".join([line async for line in process.stdout])
        exit_code = await proc_wait(process)
        ended = True
    finally:
        if not ended:
            await host.terminate_subprocess(process, aggressive=True)
    if exit_code != 0:
        what = said.decode(errors="replace").strip()
        raise RuntimeError(f"the text could not be typed: tmux said {what!r} (exit code {exit_code})")


def _set_buffer(command: str, buffer: str, text: str) -> Iterator[str]:
    """The commands that fill the buffer: one for a text that one of them can carry, else piece by piece."""
    encoded = text.encode()
    if len(encoded) <= _PIECE:
        yield f"{command} -b {buffer} -- {shlex.quote(text)}"
        return
    append = ""
    for piece in _pieces(encoded):
        yield f"{command} {append}-b {buffer} -- {_shortest_quote(piece)}"
        append = "-a "


def _pieces(encoded: bytes) -> Iterator[str]:
    """`encoded` (UTF-8) in pieces of at most `_PIECE` bytes, no character split."""
    start = 0
    while start < len(encoded):
        end = min(start + _PIECE, len(encoded))
        while end < len(encoded) and encoded[end] & 0xC0 == 0x80:
            end -= 1
        yield encoded[start:end].decode()
        start = end


def _shortest_quote(text: str) -> str:
    """`text` as one word of a shell command, in single or in double quotes, whichever is shorter."""
    single = "'" + re.sub("'+", lambda quotes: f"'\"{quotes.group()}\"'", text) + "'"
    double = '"' + re.sub(r'([$`"\\])', r"\\\1", text) + '"'
    return min(single, double, key=len)


def _check(result: Any, what: str) -> None:
    if result.exit_code != 0:
        raise RuntimeError(f"{what}: tmux said {str(result.stderr).strip()!r} (exit code {result.exit_code})")
