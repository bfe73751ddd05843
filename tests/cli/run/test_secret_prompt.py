"""Asking on a terminal: a pseudo-terminal in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys

PROGRAM = """
import asyncio, fcntl, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
from optio_agents.cli.run.secret_prompt import ask_on_terminal
ask = ask_on_terminal()
assert ask is not None
answer = asyncio.run(ask("me@host's pass\\x1b[2Jword: "))
print("answer:", repr(answer))
"""


def talk(answer: bytes) -> bytes:
    """What the terminal shows when the question is answered so."""
    terminal, end = os.openpty()
    command = [sys.executable, "-c", PROGRAM]
    with subprocess.Popen(command, stdin=end, stdout=end, stderr=end, start_new_session=True):
        os.close(end)
        shown = b""
        while b"word: " not in shown:
            shown += os.read(terminal, 1024)
        os.write(terminal, answer)
        while True:
            try:
                data = os.read(terminal, 1024)
            except OSError:  # the end, as a terminal tells it
                break
            shown += data
    os.close(terminal)
    return shown


def test_the_answer_is_not_shown_and_the_question_is_harmless() -> None:
    shown = talk(b"secret\n")
    question, _, rest = shown.partition(b"word: ")
    assert question == b"me@host's pass[2J"
    assert rest.split() == [b"answer:", b"'secret'"]


def test_an_end_of_input_is_no_answer() -> None:
    assert b"answer: None" in talk(b"\x04")


def test_without_a_terminal_there_is_no_question() -> None:
    code = "from optio_agents.cli.run.secret_prompt import ask_on_terminal; print(ask_on_terminal())"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, start_new_session=True, timeout=60
    )
    assert done.stdout == "None\n"
