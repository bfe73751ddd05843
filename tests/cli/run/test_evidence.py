"""What is kept of a run: found by `runs`, told by `show`, checked by `check`, and never the reason of a failure."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from optio_agents.cli import runs_directory
from optio_agents.cli.exit_codes import ExitCode, UsageError
from optio_agents.cli.runs_directory import find_run, new_run, past_runs, prune
from tests.support.cli_run import Result, agent, run


def ended(tmp_path: Path, code: str) -> Result:
    return run("run", *agent(code), cwd=tmp_path)


def ids(tmp_path: Path) -> list[str]:
    listed = run("runs", "--json", cwd=tmp_path)
    return [json.loads(line)["id"] for line in listed.out.splitlines()]


def test_a_failed_run_names_its_story_and_every_near_miss(tmp_path: Path) -> None:
    result = ended(tmp_path, "say('status: 20% hello'); say('**DONE**'); say('Done: finished')")
    assert result.code == ExitCode.ENDED_EARLY
    for line in (
        "line 1: the line `status: 20% hello`",
        "line 2: the line `**DONE**`",
        "line 3: the line `Done: ",
    ):
        assert line in result.err
    [name] = ids(tmp_path)
    assert f"the whole story: optio-agents show {name}" in result.err
    log = next(line for line in result.err.splitlines() if line.startswith("its log: "))
    assert Path(log.removeprefix("its log: ")).read_text().splitlines()[1] == "**DONE**"


def test_a_run_is_listed_told_replayed_and_checked(tmp_path: Path) -> None:
    ended(tmp_path, "say('STATUS: 40% half way'); say('DONE: all of it')")
    listed = run("runs", cwd=tmp_path).out
    assert listed.split()[1] == "done"
    told = run("show", "last", cwd=tmp_path).out
    assert "40% half way" in told
    assert "done after" in told
    assert "output.log: " in told
    [name] = ids(tmp_path)
    replayed = run("replay", name, "--speed", "1000", cwd=tmp_path).out
    assert " 40% half way\n" in replayed
    checked = run("check", name, cwd=tmp_path)
    assert (checked.code, "DONE: all of it" in checked.out) == (0, True)


def test_a_run_that_could_not_begin_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert run("run", "--deliverables", "file", "--", "true", cwd=tmp_path).code == ExitCode.USAGE
    assert ids(tmp_path) == []


def test_a_state_directory_that_cannot_be_made_costs_only_the_evidence(tmp_path: Path) -> None:
    result = run("run", *agent("say('DONE')"), cwd=tmp_path, XDG_STATE_HOME="/dev/null")
    assert (result.code, result.err) == (ExitCode.DONE, "")


def test_a_log_that_was_replaced_by_a_link_is_not_copied(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    ended(
        tmp_path,
        f"say('DONE'); os.replace('optio.log', 'x'); os.symlink({str(tmp_path / 'secret')!r}, 'optio.log')",
    )
    [directory] = (tmp_path / "state" / "optio-agents" / "runs").iterdir()
    assert not (directory / "optio.log").exists()


def test_evidence_is_for_its_owner_only(tmp_path: Path) -> None:
    ended(tmp_path, "say('DONE')")
    [directory] = (tmp_path / "state" / "optio-agents" / "runs").iterdir()
    assert directory.stat().st_mode & 0o077 == 0


def test_old_and_large_runs_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_800_000_000.0
    made = [new_run(tmp_path, now - day * 86_400) for day in (40, 3, 2, 1)]
    for directory, day in zip(made, (40, 3, 2, 1), strict=True):
        (directory / "output.log").write_bytes(b"x" * 1000)
        os.utime(directory, (now - day * 86_400,) * 2)
    monkeypatch.setattr(runs_directory, "MAX_TOTAL_BYTES", 2500)
    prune(tmp_path, now)
    assert [each.directory for each in past_runs(tmp_path)] == [made[3], made[2]]


def test_a_run_is_found_by_a_part_of_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    root = runs_directory.runs_directory()
    first, second = new_run(root, 1_800_000_000), new_run(root, 1_800_000_100)
    assert find_run("last").directory == second
    assert find_run(first.name[-6:]).directory == first
    with pytest.raises(UsageError, match="means several runs"):
        find_run("20")
    with pytest.raises(UsageError, match="there is no run"):
        find_run("nothing")
