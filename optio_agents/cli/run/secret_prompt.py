"""A question on the controlling terminal whose answer is not shown. Awaited under asyncio, and can be cancelled."""

from __future__ import annotations

import asyncio
import os
import termios

from optio_agents.hosts.ssh.settings import Ask

TERMINAL = "/dev/tty"

_LONGEST_ANSWER = 4096


def ask_on_terminal() -> Ask | None:
    """The function that asks the user; `None` if there is no terminal."""
    try:
        os.close(os.open(TERMINAL, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return None
    return _ask


async def _ask(question: str) -> str | None:
    """Ask; `None` when the user gives no answer (an end of input)."""
    # Open the terminal ourselves: making this file non-blocking must not affect the user's other programs.
    terminal = os.open(TERMINAL, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        before = termios.tcgetattr(terminal)
        quiet = before[:]
        quiet[3] &= ~termios.ECHO
        quiet[3] |= termios.ICANON | termios.ISIG
        termios.tcsetattr(terminal, termios.TCSAFLUSH, quiet)
        try:
            os.write(terminal, _printable(question).encode())
            answer = await _read_line(terminal)
        finally:
            termios.tcsetattr(terminal, termios.TCSAFLUSH, before)
            os.write(terminal, b"\r\n")
    finally:
        os.close(terminal)
    return None if not answer else answer.decode("utf-8", "surrogateescape").removesuffix("\n")


async def _read_line(terminal: int) -> bytes:
    loop = asyncio.get_running_loop()
    line: asyncio.Future[bytes] = loop.create_future()

    def read() -> None:
        try:
            data = os.read(terminal, _LONGEST_ANSWER)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not line.done():
            line.set_result(data)

    loop.add_reader(terminal, read)
    try:
        return await line
    finally:
        loop.remove_reader(terminal)


def _printable(text: str) -> str:
    """The text without control characters, because the host chooses a part of the question."""
    return "".join(character for character in text if character.isprintable())
