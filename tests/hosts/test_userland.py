"""What a host has, as it reports it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from optio_agents.hosts.userland import REPORT, Userland


def report(path: str) -> bytes:
    return subprocess.run(
        ["/bin/sh", "-c", REPORT], env={"PATH": path}, capture_output=True, check=True
    ).stdout


def test_this_machine() -> None:
    found = Userland.parse(report("/usr/local/bin:/usr/bin:/bin"))
    assert found.proc


def test_a_host_with_nothing(tmp_path: Path) -> None:
    found = Userland.parse(report(str(tmp_path)))
    assert (found.python, found.setsid, found.nul_grep) == (False, False, False)


@pytest.mark.parametrize("python", [True, False])
def test_variables_stand_for_the_probe(python: bool) -> None:
    userland = Userland(python=python, proc=False, setsid=True, nul_grep=False)
    script = userland.variables() + "\n" + REPORT[REPORT.index("printf 'python") :]
    output = subprocess.run(["/bin/sh", "-c", script], capture_output=True, check=True).stdout
    assert Userland.parse(output) == userland


@pytest.mark.parametrize(
    "output", [b"", b"sh: not found", b"python=1 proc=1", b"python=2 proc=1 setsid= nul_grep="]
)
def test_another_answer_is_refused(output: bytes) -> None:
    with pytest.raises(ValueError, match="the host's shell answered"):
        Userland.parse(output)
