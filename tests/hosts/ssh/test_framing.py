import shlex
import shutil
import subprocess

import pytest

from optio_agents.hosts.ssh.framing import Framed, FrameEnding, Opening, excerpt, to_the_end


def halves(data: bytes) -> list[tuple[bytes, bytes]]:
    return [(data[:at], data[at:]) for at in range(len(data) + 1)]


def test_the_command_line_holds_nothing_that_shells_read_differently() -> None:
    framed = Framed("echo 'it''s'\n\\!", "rm -rf /tmp/a'b\n!\\")
    assert not set("\\\n!`") & set(framed.command_line)
    assert framed.command_line.count("'") == 4
    assert framed.command_line.endswith("'optio-agents: rm -rf /tmp/a_b___'")


def test_a_program_cannot_hold_a_nul() -> None:
    with pytest.raises(ValueError, match="NUL"):
        Framed("echo \0", "label")


def test_what_comes_before_the_nonce_is_foreign_wherever_the_stream_is_cut() -> None:
    framed = Framed("", "")
    mark = framed.nonce + b"\n"
    for first, second in halves(b"welcome\n" + framed.nonce[:5] + mark + b"ours" + mark):
        opening = Opening(framed.nonce)
        assert opening.feed(first) + opening.feed(second) == b"ours" + mark
        assert opening.said() == f"welcome {framed.nonce[:5].decode()}"


def test_without_the_nonce_nothing_is_ours_and_little_is_kept() -> None:
    opening = Opening(b"n" * 32)
    for _ in range(100):
        assert opening.feed(b"x" * 10_000) == b""
    assert not opening.found
    assert opening.size > 990_000
    assert len(opening.foreign) <= 2_000


def test_the_end_of_a_command_is_found_wherever_the_stream_is_cut() -> None:
    nonce = b"0123456789abcdef" * 2
    output = b"a\n" + nonce + b" x\n\n" + nonce
    for first, second in halves(output + b"\n" + nonce + b" 17\nfrom a child in the background"):
        ending = FrameEnding(nonce)
        assert ending.feed(first) + ending.feed(second) == output
        assert ending.number == 17


def test_a_stream_without_an_end_is_given_out_whole() -> None:
    ending = FrameEnding(b"n" * 32)
    assert ending.feed(b"abc") + ending.rest() == b"abc"
    assert ending.number is None


def test_words_of_a_host_are_harmless() -> None:
    assert excerpt(b"\x1b[2Ja\r\n\tb\x00\xff") == "[2Ja b �"
    assert len(excerpt(b"y" * 10_000)) == 500


SHELLS = [
    pytest.param(["sh"], id="sh"),
    pytest.param(["bash"], id="bash"),
    *(
        pytest.param(
            command, id=command[0], marks=pytest.mark.skipif(not shutil.which(command[0]), reason="not here")
        )
        for command in (["busybox", "sh"], ["csh", "-f"], ["fish"], ["zsh"])
    ),
]


@pytest.mark.parametrize("shell", SHELLS)
def test_a_program_runs_in_every_login_shell_and_leaves_the_rest_of_its_input(shell: list[str]) -> None:
    odd = 'it\'s "$HOME" \\ ! % `x`'
    framed = Framed(
        f"printf '%s\\n' {shlex.quote(odd)}\nwhile read -r line; do echo \"got $line\"; done\n", "a label"
    )
    done = subprocess.run(
        [*shell, "-c", framed.command_line],
        input=framed.program + b"one\ntwo\n",
        capture_output=True,
        timeout=60,
    )
    opening = Opening(framed.nonce)
    assert opening.feed(done.stdout).splitlines() == [odd.encode(), b"got one", b"got two"], done


@pytest.mark.parametrize(("command", "status"), [("cat; echo over", 0), ("exit 7", 7), ("kill -9 $$", 137)])
def test_a_command_has_an_empty_input_and_its_status(command: str, status: int) -> None:
    framed = Framed(to_the_end(command, cwd="/", env={"A": "b c"}), "run")
    done = subprocess.run(
        ["sh", "-c", framed.command_line], input=framed.program, capture_output=True, timeout=60
    )
    for stream in (done.stdout, done.stderr):
        opening, ending = Opening(framed.nonce), FrameEnding(framed.nonce)
        ending.feed(opening.feed(stream))
        assert ending.number == status


def test_a_directory_that_is_not_there_fails_the_command() -> None:
    framed = Framed(to_the_end("echo wrong", cwd="/no such directory", env={"A": "b"}), "run")
    done = subprocess.run(
        ["sh", "-c", framed.command_line], input=framed.program, capture_output=True, timeout=60
    )
    assert b"wrong" not in done.stdout
    assert b"no such directory" in done.stderr
