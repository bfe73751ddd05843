"""The keyboard under the live display, at a real terminal."""

import sys
from pathlib import Path

import pytest

from optio_agents.cli.exit_codes import ExitCode
from tests.support.cli_run import HANG_GUARD, agent
from tests.support.terminal import Terminal

ASKS = """
say("ATTENTION: which layout, one or two?")
answer = heard("")
say("DONE: " + answer)
"""

SHELL = """
import os, signal, sys
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
pid = os.fork()
if not pid:
    os.setpgid(0, 0)
    os.tcsetpgrp(0, os.getpid())
    signal.signal(signal.SIGTTOU, signal.SIG_DFL)
    os.execvp(sys.argv[1], sys.argv[1:])
while True:
    status = os.waitpid(pid, os.WUNTRACED)[1]
    if not os.WIFSTOPPED(status):
        sys.exit(os.waitstatus_to_exitcode(status) & 255)
    os.tcsetpgrp(0, os.getpgrp())
    print("[stopped]", flush=True)
    sys.stdin.readline()
    os.tcsetpgrp(0, pid)
    os.killpg(pid, signal.SIGCONT)
"""


def test_a_typed_answer_reaches_the_agent_and_the_terminal_is_restored(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, "run", *agent(ASKS))
    try:
        terminal.until("one or two?")
        terminal.until("type an answer")
        terminal.until("\a")
        assert not terminal.echoes
        terminal.type("layout tow\x7f\x7fwo")
        terminal.until("> layout two")
        terminal.type("\r")
        terminal.until("done after")
        terminal.until("layout two")
        assert terminal.process.wait(HANG_GUARD) == ExitCode.DONE
        assert terminal.echoes
    finally:
        terminal.close()


@pytest.mark.parametrize("key", ["\x03", "\x1c"])
def test_ctrl_c_restores_the_terminal(tmp_path: Path, key: str) -> None:
    terminal = Terminal(tmp_path, "run", *agent(ASKS))
    try:
        terminal.until("type an answer")
        terminal.type("half a li" + key)
        assert terminal.process.wait(HANG_GUARD) == ExitCode.INTERRUPTED
        assert terminal.echoes
    finally:
        terminal.close()


def test_ctrl_z_gives_the_shell_its_terminal_and_the_display_goes_on(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, "run", *agent(ASKS), before=[sys.executable, "-c", SHELL])
    try:
        terminal.until("type an answer")
        terminal.type("\x1a")
        terminal.until("[stopped]")
        assert terminal.screen.rindex("\x1b[?25h") > terminal.screen.rindex("\x1b[?25l")
        assert terminal.echoes
        terminal.type("\n")
        terminal.screen = ""
        terminal.until("type an answer")
        terminal.type("after all\r")
        terminal.until("done after")
        terminal.until("after all")
        assert terminal.process.wait(HANG_GUARD) == ExitCode.DONE
        assert terminal.echoes
    finally:
        terminal.close()
