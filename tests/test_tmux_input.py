"""Typing into a real tmux: what a terminal program receives, byte for byte."""

from __future__ import annotations

import asyncio
import random
import shlex
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import trio
from optio_host.host import LocalHost as OptioLocalHost

from optio_agents.hosts.local import LocalHost
from optio_agents.tmux_input import (
    NAV_KEYS,
    TEXT_LIMIT,
    send_key_to_tmux,
    send_text_to_tmux,
    sendable_text,
)
from tests.support.servers import Ssh, running_sshd
from tests.support.ssh_host import connected, ssh_host
from tests.support.tmux import TmuxServer

# A terminal program in raw mode that knows bracketed paste: it writes down all that it receives.
READER = """
import os, sys, tty
tty.setraw(0)
os.write(1, b"\\x1b[?2004h ready")
with open(sys.argv[1], "ab", buffering=0) as record:
    while data := os.read(0, 65536):
        record.write(data)
"""

START, END = b"\x1b[200~", b"\x1b[201~"


class Terminal:
    """The reader in a tmux session, and what it received."""

    def __init__(self, tmux: TmuxServer, directory: Path) -> None:
        self.tmux = tmux
        self.record = directory / "received"
        script = directory / "reader.py"
        script.write_text(READER)
        tmux.start(shlex.join([sys.executable, str(script), str(self.record)]))
        tmux.wait_until(lambda: "ready" in tmux.run("capture-pane", "-p", "-t", tmux.session))

    @property
    def target(self) -> tuple[str, str, str]:
        return "tmux", self.tmux.socket, self.tmux.session

    def received(self, messages: int = 1) -> bytes:
        """All of it, once so many messages have been submitted."""
        self.tmux.wait_until(
            lambda: self.record.exists() and self.record.read_bytes().count(END + b"\r") == messages
        )
        return self.record.read_bytes()


@pytest.fixture
def terminal(tmux: TmuxServer, tmp_path: Path) -> Terminal:
    return Terminal(tmux, tmp_path)


@pytest.fixture
def host(tmp_path: Path) -> OptioLocalHost:
    host = OptioLocalHost(str(tmp_path / "task"))
    Path(host.workdir).mkdir(parents=True)
    return host


def send(host: Any, terminal: Terminal, *texts: str) -> None:
    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            for text in texts:
                group.create_task(send_text_to_tmux(host, *terminal.target, text, submit_settle="0.1"))

    asyncio.run(main())


def pasted(text: str) -> bytes:
    """What a program receives for one message: tmux sends line ends of a paste as carriage returns."""
    return START + text.replace("\n", "\r").encode() + END + b"\r"


@pytest.mark.parametrize(
    "text",
    [
        "one line",
        "one\ntwo\n\nthree",
        '  it\'s "quoted" $HOME `id` \\ ; #{pane_id}\ttab',
        "naïve 日本語 👩‍💻",
        "-n",
    ],
)
def test_a_message_arrives_as_one_message(host: Any, terminal: Terminal, text: str) -> None:
    send(host, terminal, text)
    assert terminal.received() == pasted(text)


WATCHING_TMUX = """#!/bin/sh
{{ tr '\\0' ' ' < /proc/$$/cmdline; tr '\\0' ' ' < /proc/$PPID/cmdline; echo; }} >> {seen}
exec tmux "$@"
"""


def test_no_process_shows_the_text_among_its_arguments(host: Any, terminal: Terminal, tmp_path: Path) -> None:
    seen, program = tmp_path / "seen", tmp_path / "watching-tmux"
    program.write_text(WATCHING_TMUX.format(seen=seen))
    program.chmod(0o755)
    where = terminal.tmux.socket, terminal.tmux.session
    asyncio.run(send_text_to_tmux(host, str(program), *where, "correct horse", submit_settle="0.1"))
    assert terminal.received() == pasted("correct horse")
    assert "load-buffer" in seen.read_text()
    assert "horse" not in seen.read_text()


@pytest.mark.servers
def test_nor_on_another_machine(terminal: Terminal, tmp_path: Path) -> None:
    seen, program = tmp_path / "seen", tmp_path / "watching-tmux"
    program.write_text(WATCHING_TMUX.format(seen=seen))
    program.chmod(0o755)
    where = terminal.tmux.socket, terminal.tmux.session
    text = "correct horse\n" * 6_000  # more than the window of a channel

    async def main(ssh: Ssh) -> None:
        async with connected(ssh_host(ssh, tmp_path / "remote")) as host:
            await host.setup_workdir()
            await send_text_to_tmux(host, str(program), *where, text, submit_settle="0.1")
            with pytest.raises(RuntimeError, match="tmux said"):
                await send_text_to_tmux(host, "tmux", where[0], "gone", "x", submit_settle="0.1")

    (tmp_path / "sshd").mkdir()
    with running_sshd(tmp_path / "sshd") as ssh:
        asyncio.run(main(ssh))
    assert terminal.received() == pasted(text)
    assert "load-buffer" in seen.read_text()
    assert "horse" not in seen.read_text()


def test_a_send_that_is_cancelled_leaves_no_process(host: Any, terminal: Terminal, tmp_path: Path) -> None:
    started, program = tmp_path / "started", tmp_path / "hanging-tmux"
    program.write_text(f"#!/bin/sh\necho $$ > {started}\nexec sleep 1000\n")
    program.chmod(0o755)
    where = terminal.tmux.socket, terminal.tmux.session

    async def main() -> None:
        sending = asyncio.create_task(send_text_to_tmux(host, str(program), *where, "x"))
        while not (started.exists() and started.read_text()):
            await asyncio.sleep(0.01)
        sending.cancel()
        await asyncio.wait([sending])
        assert sending.cancelled()

    asyncio.run(main())
    terminal.tmux.wait_until(lambda: not Path(f"/proc/{int(started.read_text())}").exists())


def test_control_characters_do_not_arrive(host: Any, terminal: Terminal) -> None:
    send(host, terminal, "a\x1b[201~\x03b\r\nc\rd\x7f\x9b2J")
    assert terminal.received() == pasted("a[201~b\nc\nd2J")


def test_the_longest_message_arrives_whole(host: Any, terminal: Terminal) -> None:
    line = "it's line {:06} of many, naïve\n"
    text = (
        "".join(line.format(number) for number in range(4000)).encode()[:TEXT_LIMIT].decode(errors="ignore")
    )
    assert len(text.encode()) > TEXT_LIMIT - 4
    send(host, terminal, text)
    assert terminal.received() == pasted(text)


def test_four_senders_at_once_do_not_mix(host: Any, terminal: Terminal) -> None:
    texts = [f"{letter}\n" * 500 for letter in "abcd"]
    send(host, terminal, *texts)
    received = terminal.received(messages=4)
    assert sorted(received.split(START)[1:]) == sorted(pasted(text).removeprefix(START) for text in texts)


async def test_it_works_under_trio(tmp_path: Path, tmux: TmuxServer) -> None:
    terminal = Terminal(tmux, tmp_path)
    host = LocalHost.within(str(tmp_path))
    async with trio.open_nursery() as nursery:
        for text in ("one", "two"):
            nursery.start_soon(send_text_to_tmux, host, *terminal.target, text)
    received = await trio.to_thread.run_sync(terminal.received, 2)
    assert sorted(received.split(START)[1:]) == [pasted(text).removeprefix(START) for text in ("one", "two")]


def test_a_key(host: Any, terminal: Terminal) -> None:
    asyncio.run(send_key_to_tmux(host, *terminal.target, "Up"))
    terminal.tmux.wait_until(lambda: terminal.record.exists() and terminal.record.read_bytes() != b"")
    assert terminal.record.read_bytes() == b"\x1b[A"


def test_a_session_that_is_gone_is_an_error(host: Any, tmux: TmuxServer) -> None:
    for sending in (send_text_to_tmux, send_key_to_tmux):
        with pytest.raises(RuntimeError, match=r"tmux said"):
            asyncio.run(sending(host, "tmux", tmux.socket, "agent", "Up"))


@dataclass
class Result:
    exit_code: int = 0
    stdout: str = ""
    stderr: str = ""


@dataclass
class RecordingHost:
    """Runs nothing."""

    commands: list[str] = field(default_factory=list)

    async def run_command(self, command: str) -> Result:
        self.commands.append(command)
        return Result()


async def test_a_short_text_is_one_command_of_this_form() -> None:
    host = RecordingHost()
    await send_text_to_tmux(host, "/opt/tmux", "/s o", "optio", "it's", buffer="optio-feedback")
    [command] = host.commands
    places = [
        command.index(part)
        for part in (
            f"/opt/tmux -S '/s o' set-buffer -b optio-feedback -- {shlex.quote(chr(105) + 't' + chr(39) + 's')}",
            "paste-buffer -d -b optio-feedback -t optio",
            "sleep 1.0",
        )
    ]
    assert places == sorted(places)
    assert command.endswith("send-keys -t optio Enter")
    await send_key_to_tmux(host, "/opt/tmux", "/s", "optio", "Escape")
    assert host.commands[1] == "/opt/tmux -S /s send-keys -t optio Escape"


@pytest.mark.parametrize(
    "text", ["a\0b", "x" * (TEXT_LIMIT + 1), "é" * (TEXT_LIMIT // 2 + 1), "", "\x1b\x03"]
)
async def test_what_cannot_be_typed_is_refused_before_the_host_is_touched(text: str) -> None:
    host = RecordingHost()
    with pytest.raises(ValueError, match="text"):
        await send_text_to_tmux(host, "tmux", "/s", "optio", text)
    assert host.commands == []


@pytest.mark.parametrize("key", ["C-c", "up", "F1", "", "Up; kill-server"])
async def test_another_key_is_refused_before_the_host_is_touched(key: str) -> None:
    host = RecordingHost()
    assert key not in NAV_KEYS
    with pytest.raises(ValueError, match="key"):
        await send_key_to_tmux(host, "tmux", "/s", "optio", key)
    assert host.commands == []


@pytest.mark.parametrize("seed", range(5))
async def test_a_long_text_fits_into_a_command_or_is_refused(seed: int, tmp_path: Path) -> None:
    """Quoting makes it longer, and Linux takes at most 128 KiB as one argument."""
    chance = random.Random(seed)
    text = "".join(chance.choices("'\"$`\\\n abc", weights=[seed, 1, 1, 1, 1, 1, 5, 9, 9, 9], k=TEXT_LIMIT))
    program, arguments = tmp_path / "tmux", tmp_path / "arguments"
    program.write_text(f"#!/bin/sh\nfor word; do printf '%s\\0' \"$word\"; done >> {arguments}\n")
    program.chmod(0o755)
    host = LocalHost.within(str(tmp_path))
    try:
        await send_text_to_tmux(host, str(program), "/s", "optio", text, submit_settle="0")
    except ValueError as refusal:
        assert "quotes" in str(refusal)  # noqa: PT017
        return
    words = arguments.read_text().split("\0")
    pieces = [words[place + 1] for place, word in enumerate(words) if word == "--"]
    assert "".join(pieces) == text
    assert all(len(piece.encode()) < 16_000 for piece in pieces)


def test_a_character_that_no_terminal_can_get_is_replaced() -> None:
    assert sendable_text("a\ud800b") == "a?b"
