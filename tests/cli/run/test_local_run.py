"""`optio-agents run`, end to end: real processes, real signals, real exit codes."""

import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.cli_run import COMMAND_LINE, HANG_GUARD, agent, alive, environment_for, run, running


def left_in_tmp(cwd: Path) -> list[str]:
    return sorted(os.listdir(cwd / "tmp"))


def test_done_is_zero_and_nothing_is_left(tmp_path: Path) -> None:
    code = "say('STATUS: 40% half way'); print('noise'); say('DONE: all of it')"
    result = run("run", *agent(code), cwd=tmp_path)
    assert (result.code, result.err) == (0, "")
    assert " 40% half way" in result.out.splitlines()
    assert result.out.splitlines()[-1].startswith("done after 0:0")
    assert "noise" not in result.out
    assert sorted(os.listdir(tmp_path)) == ["state", "tmp"]
    assert left_in_tmp(tmp_path) == []


def test_deliverables_arrive_byte_for_byte_and_the_agent_hears_of_each(tmp_path: Path) -> None:
    code = """
for name, content in (("a.bin", bytes(range(256))), ("sub/b.txt", b"text\\r\\n")):
    os.makedirs(os.path.dirname("deliverables/" + name), exist_ok=True)
    open("deliverables/" + name, "wb").write(content)
    say("DELIVERABLE: deliverables/" + name)
    say("STATUS: heard " + heard())
say("DONE")
"""
    result = run("run", "--json", "--deliverables", "out", *agent(code), cwd=tmp_path)
    assert (result.code, result.err) == (0, "")
    assert (tmp_path / "out" / "a.bin").read_bytes() == bytes(range(256))
    assert (tmp_path / "out" / "sub" / "b.txt").read_bytes() == b"text\r\n"
    delivered = [event for event in result.events if event["event"] == "deliverable"]
    assert [event["saved"] for event in delivered] == [
        str(tmp_path / "out" / "a.bin"),
        str(tmp_path / "out" / "sub" / "b.txt"),
    ]
    heard = [event["message"] for event in result.events if "heard" in (event.get("message") or "")]
    assert heard[0].startswith("heard System: deliverable a.bin: accepted")
    assert "b.txt: accepted" in heard[1]


def test_json_is_one_object_per_event_and_nothing_else(tmp_path: Path) -> None:
    code = """
print("on stdout"); print("on stderr", file=sys.stderr)
say("STATUS: 10% one"); say("ATTENTION: look here"); say('CALLER_MESSAGE: key {"a": [1, null]}')
say('CLIENT_MESSAGE: theme "dark"')
say("BROWSER: https://example.org/x"); say("DELIVERABLE: deliverables/none"); heard(); say("DONE: ok")
"""
    options = ("--json", "--browser", "redirect", "--caller-messages", "--client-messages")
    result = run("run", *options, *agent(code), cwd=tmp_path)
    kinds = [event["event"] for event in result.events]
    assert kinds[0] == "started"
    assert kinds[-1] == "ended"
    by_kind = {event["event"]: event for event in result.events}
    assert by_kind["attention"]["reason"] == "look here"
    assert (by_kind["caller_message"]["keyword"], by_kind["caller_message"]["data"]) == (
        "key",
        {"a": [1, None]},
    )
    assert (by_kind["client_message"]["keyword"], by_kind["client_message"]["data"]) == ("theme", "dark")
    assert by_kind["browser"]["url"] == "https://example.org/x"
    assert (by_kind["deliverable"]["accepted"], by_kind["deliverable"]["kind"]) == (False, "missing")
    assert by_kind["message"]["delivered"] is True
    assert (result.ended["exit_code"], result.ended["reason"]) == (0, "ok")


def test_a_browser_that_the_agent_launches_becomes_an_event(tmp_path: Path) -> None:
    code = "subprocess.run(['xdg-open', 'https://example.org/login']); say('DONE')"
    result = run("run", "--json", "--browser", "redirect", *agent(code), cwd=tmp_path)
    assert result.code == 0
    assert [e["url"] for e in result.events if e["event"] == "browser"] == ["https://example.org/login"]


def test_quiet_says_nothing_unless_it_fails(tmp_path: Path) -> None:
    quiet = run("run", "--quiet", *agent("say('STATUS: 1% x'); say('DONE')"), cwd=tmp_path)
    assert (quiet.code, quiet.out, quiet.err) == (0, "", "")
    failed = run("run", "--quiet", *agent("say('ERROR: no luck')"), cwd=tmp_path)
    assert (failed.code, failed.out) == (1, "")
    assert "no luck" in failed.err


def test_an_agent_that_ends_early_is_three_with_the_end_of_its_output(tmp_path: Path) -> None:
    code = "say('STATUS: 5% x'); print('so far\\n\\x1b[31mred'); sys.exit('it broke')"
    result = run("run", *agent(code), cwd=tmp_path)
    assert result.code == 3
    assert "ended before DONE (exit status 1)" in result.err
    assert "  | red\n  | it broke\n" in result.err
    [kept] = (tmp_path / "state" / "optio-agents" / "runs").iterdir()
    assert f"its whole output: {kept / 'output.log'}" in result.err
    assert (kept / "output.log").read_text() == "so far\n\x1b[31mred\nit broke\n"
    assert left_in_tmp(tmp_path) == []


def test_an_agent_killed_by_a_signal_says_which(tmp_path: Path) -> None:
    result = run("run", "--json", *agent("os.kill(os.getpid(), signal.SIGSEGV)"), cwd=tmp_path)
    assert result.code == 3
    assert "killed by SIGSEGV" in result.ended["reason"]


def test_the_last_line_counts_without_its_newline(tmp_path: Path) -> None:
    result = run("run", "--json", *agent("open('optio.log', 'a').write('DONE: at last')"), cwd=tmp_path)
    assert (result.code, result.ended["reason"]) == (0, "at last")


def test_an_argument_that_exists_only_here_gets_a_hint(tmp_path: Path) -> None:
    (tmp_path / "agent.py").write_text("print('never run')")
    result = run("run", "--", sys.executable, "agent.py", cwd=tmp_path)
    assert result.code == 3
    assert "hint: agent.py exists here, but the agent runs in" in result.err


def test_the_users_own_workdir_is_not_wiped(tmp_path: Path) -> None:
    work = tmp_path / "work"
    (work / "deliverables").mkdir(parents=True)
    (work / "precious").write_text("mine")
    (work / "deliverables" / "old").write_text("mine, too")
    (work / "optio.log").write_text("ERROR: of an earlier run\n")
    code = "say('STATUS: ' + os.getcwd()); say('DONE: ' + open('precious').read())"
    result = run("run", "--json", "--workdir", "work", *agent(code), cwd=tmp_path)
    assert (result.code, result.ended["reason"]) == (0, "mine")
    assert (work / "precious").read_text() == "mine"
    assert (work / "deliverables" / "old").read_text() == "mine, too"
    assert any(event.get("message") == str(work) for event in result.events)
    assert left_in_tmp(tmp_path) == []


def test_delivering_into_the_agents_own_directory_is_no_loss(tmp_path: Path) -> None:
    code = "open('deliverables/a', 'w').write('x'); say('DELIVERABLE: deliverables/a'); heard(); say('DONE')"
    result = run("run", "--workdir", ".", *agent(code), cwd=tmp_path)
    assert result.code == 0, result.err
    assert (tmp_path / "deliverables" / "a").read_text() == "x"
    assert os.listdir(tmp_path / "deliverables") == ["a"]


def test_closed_standard_streams_do_no_harm(tmp_path: Path) -> None:
    arguments = [*COMMAND_LINE, "run", *agent("print('noise'); say('STATUS: 1% x'); say('DONE')")]
    ended = subprocess.run(
        ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *arguments],
        cwd=tmp_path,
        env=environment_for(tmp_path, {}),
        timeout=HANG_GUARD,
        check=False,
    )
    assert ended.returncode == 0


def test_the_output_can_be_kept(tmp_path: Path) -> None:
    result = run("run", "--output", "agent.out", *agent("print('hello'); say('DONE')"), cwd=tmp_path)
    assert result.code == 0
    assert (tmp_path / "agent.out").read_text() == "hello\n"


def test_strict_makes_a_rejected_deliverable_a_failure(tmp_path: Path) -> None:
    code = "say('DELIVERABLE: deliverables/none'); heard(); say('DONE')"
    lenient = run("run", "--json", *agent(code), cwd=tmp_path)
    assert lenient.code == 0
    strict = run("run", "--json", "--strict", *agent(code), cwd=tmp_path)
    assert (strict.code, strict.ended["reason"]) == (1, "DONE, but not accepted: none")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--", "no-such-command-anywhere"], "command not found"),
        (["--", "./plain"], "not executable"),
        (["--workdir", "/dev/null", "--", "sh"], "not a directory"),
        (["--workdir", "bad-log", "--", "sh"], "optio.log is not a regular file"),
        (["--deliverables", "plain", "--", "sh"], "cannot save deliverables"),
        (["--timeout", "0", "--", "sh"], "more than 0 seconds"),
        (["--", "./broken"], "interpreter"),
    ],
)
def test_what_cannot_be_used_is_two_with_a_reason(arguments: list[str], message: str, tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    (tmp_path / "bad-log" / "optio.log").mkdir(parents=True)
    (tmp_path / "broken").write_text("#!/no/such/interpreter\n")
    (tmp_path / "broken").chmod(0o755)
    result = run("run", *arguments, cwd=tmp_path)
    assert result.code == 2
    assert message in result.err
    assert "Traceback" not in result.err
    assert left_in_tmp(tmp_path) == []


def test_a_deliverable_that_cannot_be_saved_is_seventy_four_and_the_agent_is_told(tmp_path: Path) -> None:
    code = """
open("deliverables/big", "wb").write(b"x" * 100_000)
say("DELIVERABLE: deliverables/big")
reply = heard()
say("STATUS: heard " + reply)
say("DONE")
"""
    (tmp_path / "out" / "big").mkdir(parents=True)  # in the way
    result = run("run", "--json", "--deliverables", "out", *agent(code), cwd=tmp_path)
    assert result.code == 74
    assert list(result.ended["unsaved"]) == ["big"]
    assert "could not save big" in result.ended["reason"]
    assert any("heard System: deliverable big: " in (event.get("message") or "") for event in result.events)


def test_a_full_disk_is_seventy_four(tmp_path: Path) -> None:
    code = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
for name, size in (("small", 50_000), ("big", 200_000)):
    open("deliverables/" + name, "wb").write(b"x" * size)
    say("DELIVERABLE: deliverables/" + name)
    heard()
say("DONE")
"""
    # No file may grow past 117 KiB, which stands in for a full disk; the agent lifts that for itself.
    small_files = ["sh", "-c", 'ulimit -S -f 234; exec "$@"', "sh"]
    ended = subprocess.run(
        [*small_files, *COMMAND_LINE, "run", "--deliverables", "out", *agent(code)],
        cwd=tmp_path,
        env=environment_for(tmp_path, {}),
        capture_output=True,
        text=True,
        timeout=HANG_GUARD,
        check=False,
    )
    assert ended.returncode == 74, ended.stderr
    assert "not saved: big: File too large" in ended.stderr
    assert os.listdir(tmp_path / "out") == ["small"]


def test_the_timeout_is_one_two_four_and_ends_the_tree(tmp_path: Path) -> None:
    code = """
say("STATUS: %d" % subprocess.Popen(["sleep", "1000"], start_new_session=True).pid)
wait_for_the_end_of_input()
"""
    result = run("run", "--json", "--timeout", "1", *agent(code), cwd=tmp_path)
    assert (result.code, result.ended["reason"]) == (124, "not done after 1 second")
    [started, child] = [event for event in result.events if event["event"] in ("started", "progress")]
    assert not alive(int(child["message"]))
    assert not alive(started["pid"])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_asks_the_agent_first(number: signal.Signals, tmp_path: Path) -> None:
    code = "say('STATUS: up'); print(heard()); print(repr(sys.stdin.read())); sys.stdout.flush()"
    with running("--output", "out", *agent(code), cwd=tmp_path) as agents:
        agents.wait_for("progress", message="up")
        agents.signal(number)
        assert agents.finish() == 130
    assert (tmp_path / "out").read_text() == "System: the session is over: please end now\n''\n"
    assert agents.events[-1]["reason"] == number.name
    assert sorted(os.listdir(tmp_path / "tmp")) == []


STUBBORN = """
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal(signal.SIGINT, signal.SIG_IGN)
child = subprocess.Popen(["sh", "-c", "trap '' TERM; sleep 1000 & wait; sleep 1000"], start_new_session=True)
say("STATUS: up %d" % child.pid)
while True:
    time.sleep(1000)
"""


def test_an_agent_that_ignores_everything_is_killed_with_its_children(tmp_path: Path) -> None:
    with running(*agent(STUBBORN), cwd=tmp_path) as agents:
        pid = agents.wait_for("started")["pid"]
        child = int(agents.wait_for("progress")["message"].split()[-1])
        agents.signal(signal.SIGINT)
        assert agents.finish() == 130
    assert not alive(pid)
    assert not alive(child)
    assert environment_marked(tmp_path) == ""


def test_a_second_signal_hurries_and_loses_no_process(tmp_path: Path) -> None:
    with running(*agent(STUBBORN), cwd=tmp_path) as agents:
        pid = agents.wait_for("started")["pid"]
        child = int(agents.wait_for("progress")["message"].split()[-1])
        agents.signal(signal.SIGINT)
        agents.wait_for("interrupted")
        agents.signal(signal.SIGINT)
        assert agents.finish() == 130
    assert not alive(pid)
    assert not alive(child)
    assert environment_marked(tmp_path) == ""


def test_sigquit_kills_at_once(tmp_path: Path) -> None:
    with running(*agent(STUBBORN), cwd=tmp_path) as agents:
        agents.wait_for("progress")
        agents.signal(signal.SIGQUIT)
        assert agents.finish() == 130
    assert environment_marked(tmp_path) == ""


def environment_marked(cwd: Path) -> str:
    """The command lines of all processes that were started under `cwd` and are still there."""
    found = []
    for name in os.listdir("/proc"):
        try:
            if (
                name.isdigit()
                and f"TMPDIR={cwd / 'tmp'}".encode() in Path(f"/proc/{name}/environ").read_bytes()
            ):
                found.append(Path(f"/proc/{name}/cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return "\n".join(found)


def test_what_a_finished_agent_leaves_running_is_ended(tmp_path: Path) -> None:
    code = "say('STATUS: %d' % subprocess.Popen(['sleep', '1000'], start_new_session=True).pid); say('DONE')"
    result = run("run", "--json", *agent(code), cwd=tmp_path)
    assert result.code == 0
    assert not alive(next(int(event["message"]) for event in result.events if event["event"] == "progress"))


def test_a_reader_that_goes_away_ends_the_agent(tmp_path: Path) -> None:
    code = """
index = 0
while not wait_for_the_end_of_input(0.01):
    say("ATTENTION: %d" % index)
    index += 1
"""
    with running(*agent(code), cwd=tmp_path) as agents:
        pid = agents.wait_for("started")["pid"]
        agents.wait_for("attention")
        agents.stdout.close()
        assert agents.process.wait(HANG_GUARD) == 130
    assert not alive(pid)


def test_an_agent_that_never_reads_does_not_hold_the_session(tmp_path: Path) -> None:
    code = """
for index in range(3000):
    say("DELIVERABLE: deliverables/none-%d" % index)
say("DONE")
wait_for_the_end_of_input()
"""
    result = run("run", "--json", *agent(code), cwd=tmp_path)
    assert result.code == 0
    assert result.ended["deliverable_count"] == 3000


@contextmanager
def on_a_terminal(*arguments: str, cwd: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`optio-agents run` with a terminal of its own; what is written to stdin is typed, stdout is the screen."""
    with subprocess.Popen(
        ["script", "-qec", shlex.join([*COMMAND_LINE, "run", *arguments]), "/dev/null"],
        cwd=cwd,
        env={**environment_for(cwd, {}), "TERM": "xterm-256color"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def read_until(process: subprocess.Popen[bytes], text: bytes) -> bytes:
    assert process.stdout is not None
    seen = b""
    while text not in seen:
        piece = process.stdout.read(65536)
        assert piece, f"ended without {text!r}: {seen!r}"
        seen += piece
    return seen


def test_a_live_display_is_drawn_on_a_terminal(tmp_path: Path) -> None:
    with on_a_terminal(*agent("say('STATUS: 50% half way'); heard('nothing')"), cwd=tmp_path) as process:
        assert process.stdout is not None
        assert "━" in read_until(process, b"half way").decode()
        (workdir,) = (tmp_path / "tmp").glob("optio-agents-*/optio.log")
        with workdir.open("a") as log:
            log.write("DONE: ok\n")
        last_frame = read_until(process, b"done after") + process.stdout.read()
        assert b"\x1b[?25h" in last_frame  # the cursor is back
        assert process.wait(HANG_GUARD) == 0


def test_ctrl_c_on_the_terminal_ends_the_tree(tmp_path: Path) -> None:
    code = (
        "subprocess.Popen(['sleep', '1000'], start_new_session=True); say('STATUS: 5% up'); heard('nothing')"
    )
    with on_a_terminal(*agent(code), cwd=tmp_path) as process:
        assert process.stdin is not None
        read_until(process, b" up")
        process.stdin.write(b"\x03")
        read_until(process, b"interrupted after")
        assert process.wait(HANG_GUARD) == 130
    assert environment_marked(tmp_path) == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["run", "--help"],
        ["run", "--timeout", "0", "--", "sh"],
        ["chat", "--help"],
        ["prompt", "--browser", "suppress"],
        ["check", os.devnull],
    ],
)
def test_what_needs_no_event_loop_imports_none(arguments: list[str]) -> None:
    assert loaded_by(arguments) == []


@pytest.mark.parametrize("browser", ["ignore", "suppress", "redirect"])
def test_a_local_run_imports_neither_database_nor_ssh(tmp_path: Path, browser: str) -> None:
    options = ["--quiet", "--browser", browser, "--deliverables", str(tmp_path)]
    modules = loaded_by(["run", *options, *agent("say('DONE')")])
    assert [
        name for name in modules if name in ("motor", "pymongo", "asyncssh", "optio_host", "optio_core")
    ] == []


def loaded_by(arguments: list[str]) -> list[str]:
    """Which of the heavy modules a command line has imported when it is through."""
    code = f"""
import json, sys
from optio_agents.cli import main
try:
    main({arguments!r})
except SystemExit:
    pass
heavy = ("trio", "asyncio", "rich", "shtab", "motor", "pymongo", "asyncssh", "optio_host", "optio_core")
print("LOADED", json.dumps([name for name in heavy if name in sys.modules]))
"""
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=HANG_GUARD, check=False
    )
    line = ended.stdout.splitlines()[-1]
    assert line.startswith("LOADED "), ended.stderr
    loaded: list[str] = json.loads(line.removeprefix("LOADED "))
    return loaded


def test_an_agent_that_waits_for_input_gets_a_hint_and_an_option_helps(tmp_path: Path) -> None:
    code = "sys.stdin.read(); say('DONE')"
    with running(*agent(code), cwd=tmp_path) as agents:
        assert "--stdin null" in agents.wait_for("problem")["text"]
        agents.signal(signal.SIGTERM)
        agents.finish()
    assert run("run", "--stdin", "null", *agent(code), cwd=tmp_path).code == 0
    ended = subprocess.run(
        [*COMMAND_LINE, "run", "--stdin", "inherit", *agent("say('DONE: ' + sys.stdin.read().strip())")],
        input="typed",
        cwd=tmp_path,
        env=environment_for(tmp_path, {}),
        capture_output=True,
        text=True,
        timeout=HANG_GUARD,
        check=True,
    )
    assert "typed" in ended.stdout


def test_a_full_disk_behind_our_output_is_an_error_of_output(tmp_path: Path) -> None:
    with open("/dev/full", "wb") as full:
        ended = subprocess.run(
            [*COMMAND_LINE, "run", "--json", *agent("say('STATUS: x'); heard('never')")],
            stdout=full,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            cwd=tmp_path,
            env=environment_for(tmp_path, {}),
            text=True,
            timeout=HANG_GUARD,
            check=False,
        )
    assert ended.returncode == 74
    assert "No space left on device" in ended.stderr
