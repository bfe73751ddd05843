"""The bound on an agent's own output."""

import os
from pathlib import Path

import pytest
import trio

from optio_agents.cli.run import output_limit
from optio_agents.cli.run.output_limit import free_the_middle, shorten
from tests.support.cli_run import agent, run

MIB = 1024 * 1024


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output_limit, "HEAD_BYTES", MIB)
    monkeypatch.setattr(output_limit, "END_BYTES", MIB)
    monkeypatch.setattr(output_limit, "SLACK_BYTES", MIB)


async def test_the_middle_of_a_file_that_grows_gives_its_blocks_back(small: None, tmp_path: Path) -> None:
    path = tmp_path / "output"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(free_the_middle, descriptor, str(tmp_path))
        for _ in range(8):
            await trio.to_thread.run_sync(os.write, descriptor, b"x" * MIB)
        with trio.fail_after(60):
            while os.fstat(descriptor).st_blocks * 512 > 3 * MIB + 8192:
                await trio.sleep(0.01)
        nursery.cancel_scope.cancel()
    assert os.fstat(descriptor).st_size == 8 * MIB
    os.close(descriptor)


def test_what_is_kept_is_the_beginning_and_the_end(small: None, tmp_path: Path) -> None:
    path = tmp_path / "output"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    parts = [bytes([97 + number]) * MIB for number in range(4)]
    os.write(descriptor, b"".join(parts) + b"last")
    shorten(descriptor)
    os.write(descriptor, b" words")  # what the agent left running still appends
    os.close(descriptor)
    mark = b"\n... %d bytes are left out here ...\n" % (2 * MIB + 4)
    assert path.read_bytes() == parts[0] + mark + parts[3][4:] + b"last words"


def test_what_is_hardly_too_long_stays_whole(small: None, tmp_path: Path) -> None:
    path = tmp_path / "output"
    path.write_bytes(b"x" * (3 * MIB - 1))
    with open(path, "ab") as file:
        shorten(file.fileno())
    assert path.stat().st_size == 3 * MIB - 1


FLOOD = (
    "for n in range(96): os.write(1, b'%d begins' % n + b'x' * 1048566)\nos.write(1, b'the end')\nsay('DONE')"
)


def test_a_flood_of_output_is_bounded_but_a_file_of_the_users_is_whole(tmp_path: Path) -> None:
    assert run("run", *agent(FLOOD), cwd=tmp_path).code == 0
    [kept] = (tmp_path / "state" / "optio-agents" / "runs").glob("*/output.log")
    assert kept.stat().st_size < 65 * MIB
    with open(kept, "rb") as file:
        assert file.read(8) == b"0 begins"
        file.seek(-7, os.SEEK_END)
        assert file.read() == b"the end"
    assert run("run", "--output", "mine", *agent(FLOOD), cwd=tmp_path).code == 0
    assert (tmp_path / "mine").stat().st_size > 90 * MIB
