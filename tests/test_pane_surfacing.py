"""Mirrors of panes, on a real tmux and a real shell."""

from __future__ import annotations

import os
import stat
import subprocess
import time
from pathlib import Path

import pytest

from optio_agents import pane_surfacing
from optio_agents.pane_surfacing import (
    error_tail_snippet,
    mkdir_pane_dir_cmd,
    pane_log_path,
    pipe_pane_cmd,
    remove_pane_log_cmd,
)
from tests.support.tmux import TmuxServer


def sh(command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=check, timeout=60)


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    return tmp_path / "panes and more" / "task1" / "claude-pane.log"


def test_where_a_mirror_lies(monkeypatch: pytest.MonkeyPatch) -> None:
    assert pane_log_path("/tasks/task1/workdir/", "claude") == "/tmp/optio-panes/task1/claude-pane.log"
    monkeypatch.setenv("PANES", "/var/panes")
    assert pane_log_path("/tasks/t/w", "x", root_env="PANES") == "/var/panes/t/x-pane.log"
    assert pane_log_path("/tasks/t/w", "x", root_env="NONE", default_root="/p") == "/p/t/x-pane.log"


def test_the_commands_have_what_others_look_for() -> None:
    assert "mkdir -p /p/t" in mkdir_pane_dir_cmd("/p/t/x-pane.log")
    piped = pipe_pane_cmd("tmux", "/s", "agent", "/p/t/x-pane.log")
    assert all(part in piped for part in ("pipe-pane", "-t agent", "cat >>", "/p/t/x-pane.log"))
    tail = error_tail_snippet("/w/optio.log", "/p/t/x-pane.log", "x", lines=7)
    assert all(part in tail for part in ("tail -n 7", "LC_ALL=C sed", ">> /w/optio.log"))


def test_only_the_user_can_read_a_mirror_and_it_is_removed(mirror: Path, tmux: TmuxServer) -> None:
    sh(mkdir_pane_dir_cmd(str(mirror)))
    tmux.start("cat")
    sh(pipe_pane_cmd("tmux", tmux.socket, tmux.session, str(mirror)))
    tmux.type("secret\n")
    tmux.wait_until(lambda: mirror.exists() and b"secret" in mirror.read_bytes())
    assert stat.S_IMODE(mirror.stat().st_mode) == 0o600
    assert stat.S_IMODE(mirror.parent.stat().st_mode) == 0o700
    sh(remove_pane_log_cmd(str(mirror)))
    assert not mirror.parent.exists()


def test_a_mirror_is_bounded_and_keeps_the_end(
    mirror: Path, tmux: TmuxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pane_surfacing, "MIRROR_LIMIT", 64 * 1024)
    sh(mkdir_pane_dir_cmd(str(mirror)))
    tmux.start("sh")
    sh(pipe_pane_cmd("tmux", tmux.socket, tmux.session, str(mirror)))
    tmux.type("seq 1 100000; echo the-e''nd\n")

    def held() -> bytes:
        files = [Path(f"{mirror}.1"), mirror]
        return b"".join(file.read_bytes() for file in files if file.exists())

    tmux.wait_until(lambda: b"the-end" in held())
    assert b"\n99999\r" in held()
    assert len(held()) <= 64 * 1024
    tmux.kill()
    tmux.wait_until(lambda: mirror.exists() and mirror.stat().st_size > 0)


@pytest.mark.parametrize("planted", ["root", "directory"])
def test_a_directory_that_someone_else_put_there_is_refused(
    mirror: Path, tmp_path: Path, planted: str
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    if planted == "root":
        mirror.parent.parent.symlink_to(elsewhere)
    else:
        mirror.parent.parent.mkdir()
        mirror.parent.symlink_to(elsewhere)
    assert sh(mkdir_pane_dir_cmd(str(mirror)), check=False).returncode != 0


def test_mirrors_that_were_left_behind_are_removed_after_a_week(mirror: Path) -> None:
    old, new, other = (mirror.parent.parent / "t0" / name for name in ("a-pane.log", "b-pane.log", "c.txt"))
    old.parent.mkdir(parents=True)
    for file in (old, new, other):
        file.write_text("x")
    for file in (old, other):
        os.utime(file, (time.time() - 9 * 24 * 3600,) * 2)
    sh(mkdir_pane_dir_cmd(str(mirror)))
    assert (old.exists(), new.exists(), other.exists()) == (False, True, True)


def test_the_end_of_a_mirror_goes_to_the_log_as_plain_text_without_keywords(
    tmp_path: Path, mirror: Path
) -> None:
    mirror.parent.mkdir(parents=True)
    mirror.write_bytes(b"first\n\x1b[1;31mred\x1b[0m\x1b]0;title\x07 text\r\nDONE: no\n\x1b(Bplain\x00\n")
    log = tmp_path / "the log"
    sh(
        error_tail_snippet(str(log), str(mirror), "claude code", lines=3)
        + "echo ERROR: failed >> '"
        + str(log)
        + "'"
    )
    assert log.read_text().splitlines() == [
        "The last lines on the terminal of claude code:",
        "| red text",
        "| DONE: no",
        "| plain",
        "ERROR: failed",
    ]
    sh(error_tail_snippet(str(log), str(mirror) + ".missing", "x"))
