"""The programs for another machine's shell, run by the one of this machine."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from optio_agents.hosts import shell


@pytest.mark.parametrize("planted", ["link", "fifo"])
def test_a_log_that_is_no_file_is_refused_where_there_is_no_python(tmp_path: Path, planted: str) -> None:
    (tmp_path / "bin").mkdir()
    for name in ("sh", "stat", "ls", "tail", "cat", "wc"):
        found = shutil.which(name)
        assert found is not None
        (tmp_path / "bin" / name).symlink_to(found)
    workdir = tmp_path / "workdir"
    workdir.mkdir()
    (tmp_path / "secret").write_text("secret\n")
    if planted == "link":
        (workdir / "optio.log").symlink_to("../secret")
    else:
        os.mkfifo(workdir / "optio.log")

    def output(program: str) -> str:
        environment = {"PATH": str(tmp_path / "bin")}
        done = subprocess.run(
            ["sh", "-c", program], env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=60
        )
        return done.stdout.decode()

    assert output(shell.follow_log(str(workdir), "", "", ("0", "", "0"), python=False)).startswith(
        "Xthe log is "
    )
    assert output(shell.log_size(str(workdir), "")) == ""
