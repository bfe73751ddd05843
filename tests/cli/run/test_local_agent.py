import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from optio_agents.cli.exit_codes import UsageError
from optio_agents.cli.run.agent_input import AgentNotListening
from optio_agents.cli.run.local_agent import FAREWELL, LocalAgent, Patience
from optio_agents.hosts.processes.deadlines import Deadlines
from optio_agents.hosts.processes.exit_status import exit_text
from optio_agents.hosts.processes.process_tree import EndedBy

HANG_GUARD = 60
LONG = Patience(send=HANG_GUARD, end=Deadlines(HANG_GUARD, HANG_GUARD, HANG_GUARD))


@pytest.fixture
def output(tmp_path: Path) -> Iterator[int]:
    descriptor = os.open(tmp_path / "output", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    yield descriptor
    os.close(descriptor)


async def start(
    code: str, workdir: Path, output: int, patience: Patience = LONG, **environment: str
) -> tuple[LocalAgent, trio.lowlevel.FdStream]:
    """An agent in Python; it can say that it is ready by writing to the pipe whose number is in READY."""
    ready, writer = os.pipe()
    agent = await LocalAgent.start(
        [sys.executable, "-c", code],
        workdir=workdir,
        environment={**os.environ, **environment, "READY": f"/proc/{os.getpid()}/fd/{writer}"},
        output=output,
        patience=patience,
    )
    stream = trio.lowlevel.FdStream(ready)
    await wait_started(stream, writer)
    return agent, stream


async def wait_started(stream: trio.lowlevel.FdStream, writer: int) -> None:
    with trio.fail_after(HANG_GUARD):
        assert await stream.receive_some(6) == b"ready\n"
    os.close(writer)


def alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] not in ("Z", "X")
    except FileNotFoundError:
        return False


SAY_READY = (
    "import os,sys,time,signal,subprocess\ndef ready():\n open(os.environ['READY'],'w').write('ready\\n')\n"
)


async def test_it_runs_in_the_workdir_with_its_output_in_the_file(tmp_path: Path, output: int) -> None:
    workdir = tmp_path / "a dir; with 'quotes'"
    workdir.mkdir()
    code = (
        SAY_READY
        + "ready(); print(os.getcwd(), os.environ['X']); sys.stdout.flush(); os.write(2, b'err'); exit(3)"
    )
    agent, stream = await start(code, workdir, output, X="y")
    with trio.fail_after(HANG_GUARD):
        assert await agent.wait() == 3
        assert (await agent.end()).by is EndedBy.ITSELF
    await stream.aclose()
    assert (tmp_path / "output").read_text() == f"{workdir} y\nerr"


async def test_messages_are_lines_on_its_stdin(tmp_path: Path, output: int) -> None:
    agent, stream = await start(SAY_READY + "ready(); print(repr(sys.stdin.read()))", tmp_path, output)
    with trio.fail_after(HANG_GUARD):
        await agent.send("System: one\ntwo")
        assert (await agent.end()).by is EndedBy.ASKING
    await stream.aclose()
    assert (tmp_path / "output").read_text() == "'System: one two\\n'\n"
    with pytest.raises(AgentNotListening):
        await agent.send("too late")


async def test_an_interrupted_agent_is_told_so(tmp_path: Path, output: int) -> None:
    agent, stream = await start(SAY_READY + "ready(); print(sys.stdin.read())", tmp_path, output)
    with trio.fail_after(HANG_GUARD):
        await agent.end(farewell=True)
    await stream.aclose()
    assert (tmp_path / "output").read_text().strip() == FAREWELL


async def test_one_that_does_not_listen_gets_term(tmp_path: Path, output: int) -> None:
    agent, stream = await start(
        SAY_READY + "ready(); time.sleep(1000)", tmp_path, output, Patience(end=Deadlines(ask=0, term=60))
    )
    with trio.fail_after(HANG_GUARD):
        assert (await agent.end()).by is EndedBy.TERM
        assert await agent.wait() == -signal.SIGTERM
    await stream.aclose()


async def test_one_that_ignores_term_is_killed_with_its_children(tmp_path: Path, output: int) -> None:
    code = (
        SAY_READY
        + "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        + "print(subprocess.Popen(['sleep', '1000'], start_new_session=True).pid); sys.stdout.flush()\n"
        + "ready(); time.sleep(1000)"
    )
    agent, stream = await start(code, tmp_path, output, Patience(end=Deadlines(ask=0, term=0, kill=60)))
    child = int((tmp_path / "output").read_text())
    assert alive(child)
    with trio.fail_after(HANG_GUARD):
        assert (await agent.end()).by is EndedBy.KILL
    await stream.aclose()
    assert not alive(child)
    assert not alive(agent.pid)


async def test_what_it_leaves_behind_is_ended(tmp_path: Path, output: int) -> None:
    code = SAY_READY + "print(subprocess.Popen(['sleep', '1000'], start_new_session=True).pid); ready()"
    agent, stream = await start(code, tmp_path, output)
    with trio.fail_after(HANG_GUARD):
        assert await agent.wait() == 0
        assert (await agent.end()).by is EndedBy.TERM
    await stream.aclose()
    assert not alive(int((tmp_path / "output").read_text()))


async def test_hurry_kills_at_once_and_loses_nobody(tmp_path: Path, output: int) -> None:
    code = (
        SAY_READY
        + "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        + "print(subprocess.Popen(['sleep', '1000'], start_new_session=True).pid); sys.stdout.flush()\n"
        + "ready(); sys.stdin.read(); os.write(1, b'asked'); time.sleep(1000)"
    )
    agent, stream = await start(code, tmp_path, output)
    child = int((tmp_path / "output").read_text())
    with trio.fail_after(HANG_GUARD):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(agent.end)
            await trio.testing.wait_all_tasks_blocked()  # it waits for the agent, for LONG
            agent.hurry()
        end = await agent.end()
    await stream.aclose()
    assert end.by is EndedBy.KILL
    assert not alive(child)
    assert not alive(agent.pid)


async def test_ending_is_not_given_up_by_a_cancellation(tmp_path: Path, output: int) -> None:
    agent, stream = await start(
        SAY_READY + "ready(); time.sleep(1000)", tmp_path, output, Patience(end=Deadlines(ask=0, term=60))
    )
    with trio.CancelScope() as scope:
        scope.cancel()
        await agent.end()
    await stream.aclose()
    assert not alive(agent.pid)


@pytest.mark.parametrize(
    ("text", "message"),
    [("#!/no/such/interpreter\n", "interpreter"), ("\0\1\2 no program", "not a program")],
)
async def test_a_file_that_the_kernel_refuses_is_unusable(
    text: str, message: str, tmp_path: Path, output: int
) -> None:
    (tmp_path / "agent").write_text(text)
    (tmp_path / "agent").chmod(0o755)
    before = os.listdir("/proc/self/fd")
    with pytest.raises(UsageError, match=message):
        await LocalAgent.start([str(tmp_path / "agent")], workdir=tmp_path, environment={}, output=output)
    assert os.listdir("/proc/self/fd") == before


def test_exit_statuses_read_well() -> None:
    assert exit_text(3) == "exit status 3"
    assert exit_text(-15) == "killed by SIGTERM"
    assert exit_text(-64) == "killed by SIGRTMAX"
    assert exit_text(-50) == "killed by signal 50"
