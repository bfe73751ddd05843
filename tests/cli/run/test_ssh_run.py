"""`optio-agents run --ssh`, end to end: a real sshd, real processes beneath it, real exit codes."""

import os
import shlex
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cli_run import HANG_GUARD, Result, agent, alive, run, running
from tests.support.servers import Ssh, free_port, running_sshd

pytestmark = pytest.mark.servers


@pytest.fixture(scope="module")
def ssh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ssh]:
    with running_sshd(tmp_path_factory.mktemp("sshd")) as server:
        yield server


def over(ssh: Ssh) -> list[str]:
    return [*("--ssh", f"{ssh.user}@{ssh.host}:{ssh.port}", "--identity", str(ssh.key)), *known(ssh)]


def known(ssh: Ssh) -> list[str]:
    return ["--known-hosts", str(ssh.known_hosts)]


def run_over(ssh: Ssh, *arguments: str, cwd: Path) -> Result:
    return run("run", *over(ssh), *arguments, cwd=cwd)


def is_gone(workdir: str) -> bool:
    directory = Path(workdir).parent
    assert directory.name.startswith("optio-agents-")
    return not directory.exists()


def test_done_with_deliverables_byte_for_byte_and_the_agent_hears_of_each(ssh: Ssh, tmp_path: Path) -> None:
    code = """
for name, content in (("a.bin", bytes(range(256)) * 2000), ("sub/b.txt", b"text\\r\\n")):
    os.makedirs(os.path.dirname("deliverables/" + name), exist_ok=True)
    open("deliverables/" + name, "wb").write(content)
    say("DELIVERABLE: deliverables/" + name)
    say("STATUS: 40% heard " + heard())
os.mkdir("closed"); open("closed/file", "w"); os.chmod("closed", 0o500)
say("DONE: all of it")
"""
    result = run_over(ssh, "--json", "--deliverables", "out", *agent(code), cwd=tmp_path)
    assert (result.code, result.err) == (0, "")
    assert (tmp_path / "out" / "a.bin").read_bytes() == bytes(range(256)) * 2000
    assert (tmp_path / "out" / "sub" / "b.txt").read_bytes() == b"text\r\n"
    started = result.events[0]
    assert (started["event"], started["pid"]) == ("started", None)
    assert started["host"] == f"{ssh.user}@{ssh.host}:{ssh.port}"
    assert is_gone(started["workdir"])
    heard = [event["message"] for event in result.events if "heard" in (event.get("message") or "")]
    assert heard[0].startswith("heard System: deliverable a.bin: accepted")
    assert "b.txt: accepted" in heard[1]
    assert (result.ended["exit_code"], result.ended["reason"]) == (0, "all of it")
    assert os.listdir(tmp_path / "tmp") == []


def test_plain_lines_say_where_it_runs(ssh: Ssh, tmp_path: Path) -> None:
    result = run_over(ssh, *agent("print('noise'); say('STATUS: 40% half way'); say('DONE')"), cwd=tmp_path)
    assert (result.code, result.err) == (0, "")
    lines = result.out.splitlines()
    assert lines[0].endswith(f"(on {ssh.user}@{ssh.host}:{ssh.port})")
    assert " 40% half way" in lines
    assert lines[-1].startswith("done after 0:")
    assert "noise" not in result.out


def test_quiet_shows_nothing(ssh: Ssh, tmp_path: Path) -> None:
    result = run_over(ssh, "--quiet", *agent("say('DONE')"), cwd=tmp_path)
    assert (result.code, result.out, result.err) == (0, "", "")


def test_error_is_one(ssh: Ssh, tmp_path: Path) -> None:
    result = run_over(ssh, *agent("say('ERROR: no luck'); wait_for_the_end_of_input()"), cwd=tmp_path)
    assert result.code == 1
    assert "no luck" in result.err


def test_an_end_before_done_is_three_and_shows_the_last_of_its_output(ssh: Ssh, tmp_path: Path) -> None:
    code = "print('on stdout', flush=True); print('the reason', file=sys.stderr); sys.exit(7)"
    result = run_over(ssh, *agent(code), cwd=tmp_path)
    assert result.code == 3
    assert "exit status 7" in result.err
    assert "on stdout" in result.err
    assert "the reason" in result.err


def test_who_holds_its_output_open_does_not_hold_up_its_end(ssh: Ssh, tmp_path: Path) -> None:
    code = """
child = subprocess.Popen(["sleep", "600"], start_new_session=True)
say(f"STATUS: 50% {child.pid}"); print("the last of it", flush=True); os._exit(7)
"""
    result = run_over(ssh, "--json", *agent(code), cwd=tmp_path)
    assert (result.code, result.ended["tail"]) == (3, ["the last of it"])
    assert "exit status 7" in result.ended["reason"]
    [child] = [int(event["message"]) for event in result.events if event.get("percent") == 50]
    assert not alive(child)


def test_output_that_cannot_be_kept_ends_the_run(ssh: Ssh, tmp_path: Path) -> None:
    result = run_over(
        ssh, "--output", "/dev/full", *agent("print('x', flush=True); time.sleep(600)"), cwd=tmp_path
    )
    assert result.code == 74
    assert "cannot keep the output: No space left on device" in result.err


def test_an_agent_that_was_killed_says_by_what(ssh: Ssh, tmp_path: Path) -> None:
    result = run_over(ssh, *agent("os.kill(os.getpid(), signal.SIGKILL)"), cwd=tmp_path)
    assert result.code == 3
    assert "killed by SIGKILL" in result.err


def test_a_program_that_is_only_here_is_hinted_at(ssh: Ssh, tmp_path: Path) -> None:
    (tmp_path / "agent.sh").write_text("#!/bin/sh\n")
    result = run_over(ssh, "--", "./agent.sh", cwd=tmp_path)
    assert result.code == 3
    assert "exit status 127" in result.err
    assert "./agent.sh exists here" in result.err


def test_what_it_started_is_ended_with_done(ssh: Ssh, tmp_path: Path) -> None:
    code = """
child = subprocess.Popen(["sleep", "600"], start_new_session=True)
say(f"STATUS: 50% {child.pid}"); say("DONE")
"""
    result = run_over(ssh, "--json", *agent(code), cwd=tmp_path)
    assert result.code == 0
    [child] = [int(event["message"]) for event in result.events if event.get("percent") == 50]
    assert not alive(child)


STUBBORN_TREE = """
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen(["sleep", "600"], start_new_session=True)
say(f"STATUS: 50% {os.getpid()} {child.pid}")
print("told:", heard(), flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_remote_tree_in_order(ssh: Ssh, tmp_path: Path, number: signal.Signals) -> None:
    options = [*over(ssh), "--output", "log", *agent(STUBBORN_TREE)]
    with running(*options, cwd=tmp_path) as it:
        pids = [int(each) for each in it.wait_for("progress", percent=50)["message"].split()]
        it.signal(number)
        assert it.finish() == 130
        assert not any(alive(pid) for pid in pids)
        assert it.events[-1]["reason"] == number.name
        assert it.events[-1]["hints"] == []
        assert is_gone(it.events[0]["workdir"])
    assert (tmp_path / "log").read_text().startswith("told: System: the session is over")


def test_a_second_signal_does_not_wait_for_the_agent(ssh: Ssh, tmp_path: Path) -> None:
    with running(*over(ssh), *agent(STUBBORN_TREE), cwd=tmp_path) as it:
        pids = [int(each) for each in it.wait_for("progress", percent=50)["message"].split()]
        it.signal(signal.SIGINT)
        it.wait_for("interrupted")
        it.signal(signal.SIGINT)
        assert it.finish() == 130
        assert not any(alive(pid) for pid in pids)


def test_the_timeout_is_124(ssh: Ssh, tmp_path: Path) -> None:
    result = run_over(ssh, "--json", "--timeout", "0.01", *agent("wait_for_the_end_of_input()"), cwd=tmp_path)
    assert result.code == 124
    assert result.ended["exit_code"] == 124


def test_an_agent_outlives_a_connection_that_is_cut_and_is_heard_and_spoken_to_again(
    ssh: Ssh, tmp_path: Path
) -> None:
    code = """
print("before", flush=True); say(f"STATUS: 50% {os.getpid()}")
while not os.path.exists("go"): time.sleep(0.05)
print("after", flush=True)
os.makedirs("deliverables", exist_ok=True); open("deliverables/late", "w").write("late")
say("DELIVERABLE: deliverables/late"); say("STATUS: 60% " + heard()); say("DONE: after the cut")
"""
    with running(*over(ssh), "--output", "log", *agent(code), cwd=tmp_path) as it:
        it.wait_for("progress", percent=50)
        assert ssh.cut() > 0
        (Path(it.events[0]["workdir"]) / "go").touch()
        assert it.finish() == 0, it.events[-1]
        assert it.events[-1]["reason"] == "after the cut"
        assert any("late: accepted" in str(event.get("message")) for event in it.events)
        assert is_gone(it.events[0]["workdir"])
    assert (tmp_path / "log").read_text() == "before\nafter\n"
    assert (tmp_path / "deliverables" / "late").read_text() == "late"


def test_a_run_that_is_killed_leaves_nothing_on_the_host_after_the_grace(ssh: Ssh, tmp_path: Path) -> None:
    code = "say(f'STATUS: 50% {os.getpid()}'); time.sleep(600)"
    with running(*over(ssh), "--orphan-grace", "1", *agent(code), cwd=tmp_path) as it:
        pid = int(it.wait_for("progress", percent=50)["message"])
        it.signal(signal.SIGKILL)
        workdir = it.events[0]["workdir"]
    deadline = time.monotonic() + HANG_GUARD
    while (alive(pid) or not is_gone(workdir)) and time.monotonic() < deadline:
        time.sleep(0.1)  # the guard is no child of ours: no event shows its end
    assert not alive(pid)
    assert is_gone(workdir)


def test_three_signals_end_it_though_the_host_stands_still_and_it_says_what_may_be_left(
    ssh: Ssh, tmp_path: Path
) -> None:
    code = "say(f'STATUS: 50% {os.getpid()}'); time.sleep(600)"
    with running(*over(ssh), "--orphan-grace", "1", *agent(code), cwd=tmp_path) as it:
        it.wait_for("progress", percent=50)
        ssh.freeze()
        try:
            it.signal(signal.SIGINT)
            it.wait_for("interrupted")
            it.signal(signal.SIGINT)
            it.signal(signal.SIGINT)
            assert it.finish() == 130
        finally:
            ssh.thaw()
        hints = " ".join(it.events[-1]["hints"])
        assert "may still be running" in hints
        assert f"could not remove {Path(it.events[0]['workdir']).parent}" in hints
        assert "its guard ends it in 0:01 minutes" in hints


def test_a_signal_that_ssh_has_no_name_for_is_named(ssh: Ssh, tmp_path: Path) -> None:
    result = run_over(ssh, *agent("os.kill(os.getpid(), signal.SIGXCPU)"), cwd=tmp_path)
    assert result.code == 3
    assert "killed by SIGXCPU" in result.err


def test_a_host_key_that_has_changed_is_refused_before_the_command_starts(ssh: Ssh, tmp_path: Path) -> None:
    other = tmp_path / "known_hosts"
    other.write_text(ssh.known_hosts.read_text().split()[0] + " " + OTHER_KEY)
    target = ("--ssh", f"{ssh.user}@{ssh.host}:{ssh.port}", "--identity", str(ssh.key))
    result = run("run", *target, "--known-hosts", str(other), *agent("open('ran', 'w')"), cwd=tmp_path)
    assert (result.code, result.out) == (74, "")
    assert "the host key of [127.0.0.1]" in result.err
    assert "has changed" in result.err


OTHER_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIiw+njTXcMNA12FFjKd+lGuXqUBrb32Z6bV7TtqPqFm\n"


def test_a_refused_connection_is_one_clear_line(ssh: Ssh, tmp_path: Path) -> None:
    port = free_port()
    options = ("--ssh", f"me@127.0.0.1:{port}", "--identity", str(ssh.key), *known(ssh))
    result = run("run", *options, *agent(""), cwd=tmp_path)
    assert (result.code, result.out) == (74, "")
    [line] = result.err.splitlines()
    assert line.startswith("optio-agents: ")
    assert f"cannot connect to me@127.0.0.1:{port}: connection refused" in line


def test_a_key_that_does_not_open_is_one_clear_line(ssh: Ssh, tmp_path: Path) -> None:
    target = f"{ssh.user}@{ssh.host}:{ssh.port}"
    options = ("--ssh", target, "--identity", str(ssh.key.with_name("host_key")), *known(ssh))
    result = run("run", *options, *agent(""), cwd=tmp_path)
    assert (result.code, result.out) == (74, "")
    [line] = result.err.splitlines()
    assert "permission denied" in line


def test_ctrl_c_while_connecting(ssh: Ssh, tmp_path: Path) -> None:
    # A server that takes the connection and never says a word.
    with socket.create_server(("127.0.0.1", 0)) as mute:
        mute.settimeout(HANG_GUARD)
        port = mute.getsockname()[1]
        options = ("--ssh", f"me@127.0.0.1:{port}", "--identity", str(ssh.key))
        with running(*options, *agent(""), cwd=tmp_path) as it:
            connection, _ = mute.accept()
            with connection:
                it.signal(signal.SIGINT)
                assert it.finish() == 130
    assert it.events[-1]["reason"] == "SIGINT"


def test_arguments_arrive_as_they_were_given(ssh: Ssh, tmp_path: Path) -> None:
    odd = ["two words", "$HOME", "it's", "a;b", "*", "", "\n"]
    [dashes, *command] = agent("say('STATUS: 50% ' + repr(sys.argv[1:])); say('DONE')")
    result = run_over(ssh, "--json", dashes, *command, *odd, cwd=tmp_path)
    assert result.code == 0
    assert any(event.get("message") == repr(odd) for event in result.events), shlex.join(odd)
