import re
from pathlib import Path

import pytest

from optio_agents.cli.exit_codes import ExitCode, UsageError
from optio_agents.cli.run.settings import check_workdir, find_program, relative_files
from tests.support.permissions import file_modes_count


def script(path: Path, mode: int = 0o755) -> Path:
    path.write_text("#!/bin/sh\n")
    path.chmod(mode)
    return path


def test_a_bare_name_is_looked_for_in_path() -> None:
    assert find_program("sh", None).endswith("/sh")


def test_a_program_found_through_a_relative_path_entry_is_made_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(tmp_path / "agent")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", ".")
    assert find_program("agent", None) == str(tmp_path / "agent")


def test_a_relative_path_is_meant_from_here_and_then_from_the_workdir(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, workdir = tmp_path / "here", tmp_path / "work"
    here.mkdir()
    workdir.mkdir()
    monkeypatch.chdir(here)
    script(workdir / "agent.sh")
    assert find_program("./agent.sh", workdir) == str(workdir / "agent.sh")
    script(here / "agent.sh")
    assert find_program("./agent.sh", workdir) == str(here / "agent.sh")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "empty"),
        ("no-such-command-anywhere", "command not found: no-such-command-anywhere"),
        ("./missing.sh", "command not found: ./missing.sh"),
        ("./directory", "not a file: ./directory"),
        ("./plain.txt", "not executable: ./plain.txt"),
    ],
)
def test_a_command_that_cannot_be_run_is_named(
    name: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "directory").mkdir()
    script(tmp_path / "plain.txt", 0o644)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=message) as caught:
        find_program(name, None)
    assert caught.value.code is ExitCode.USAGE


def test_a_usable_workdir_becomes_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "optio.log").write_text("an earlier run's\n")
    (tmp_path / "work" / "deliverables").mkdir()
    monkeypatch.chdir(tmp_path)
    assert check_workdir(Path("work")) == tmp_path / "work"


def test_a_workdir_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="not a directory"):
        check_workdir(tmp_path / "file")


def test_a_workdir_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o300)
    with file_modes_count(), pytest.raises(UsageError, match="readable and writable"):
        check_workdir(tmp_path / "closed")


def test_a_log_that_is_a_directory_or_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "optio.log").mkdir()
    with pytest.raises(UsageError, match=r"optio\.log is not a regular file"):
        check_workdir(tmp_path)
    (tmp_path / "optio.log").rmdir()
    (tmp_path / "optio.log").symlink_to("/etc/passwd")
    with pytest.raises(UsageError, match=r"optio\.log is not a regular file"):
        check_workdir(tmp_path)


def test_a_deliverables_that_is_no_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "deliverables").touch()
    with pytest.raises(UsageError, match="deliverables is not a directory"):
        check_workdir(tmp_path)


def test_arguments_that_exist_only_here_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here, workdir = tmp_path / "here", tmp_path / "work"
    here.mkdir()
    workdir.mkdir()
    monkeypatch.chdir(here)
    for name in ("agent.py", "both.py"):
        (here / name).touch()
    (workdir / "both.py").touch()
    command = ("/usr/bin/python3", "agent.py", "both.py", "--flag", str(here / "agent.py"))
    assert relative_files(command, workdir) == ["agent.py"]
    assert relative_files(command, None) == ["agent.py", "both.py"]


def test_a_missing_workdir_is_made(tmp_path: Path) -> None:
    assert check_workdir(tmp_path / "new" / "inner") == tmp_path / "new" / "inner"
    assert (tmp_path / "new" / "inner").is_dir()


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("echo x >> optio.log", "sh -c 'echo x >> optio.log'"),
        ("here.sh", "write ./here.sh"),
        ("no-such-program", "command not found: no-such-program"),
    ],
)
def test_a_command_that_is_not_found_says_what_was_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, hint: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here.sh").write_text("#!/bin/sh\n")
    with pytest.raises(UsageError, match=re.escape(hint)):
        find_program(name, None)
