import os
from dataclasses import replace
from pathlib import Path

import pytest

from optio_agents.cli.exit_codes import UsageError
from optio_agents.cli.run.settings import RunSettings
from optio_agents.cli.run.workspace import TAIL_LINES, TAIL_WIDTH, Workspace, remove_workdir


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunSettings:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    return RunSettings(command=("/bin/true",), workdir=None, deliverables=tmp_path / "deliverables")


def temporary(tmp_path: Path) -> list[Path]:
    return list((tmp_path / "tmp").iterdir())


def test_what_is_temporary_goes(settings: RunSettings, tmp_path: Path) -> None:
    workspace = Workspace(settings)
    assert workspace.workdir.is_dir()
    assert workspace.temporary
    (workspace.workdir / "deep").mkdir()
    (workspace.workdir / "deep" / "file").touch()
    workspace.close(keep_output=False)
    assert temporary(tmp_path) == []


def test_the_output_stays_when_it_is_wanted(settings: RunSettings, tmp_path: Path) -> None:
    workspace = Workspace(settings)
    os.write(workspace.descriptor, b"hello")
    workspace.close(keep_output=True)
    assert temporary(tmp_path) == []
    assert workspace.output.read_bytes() == b"hello"
    assert workspace.evidence.directory == workspace.output.parent
    assert workspace.output.read_bytes() == b"hello"


def test_the_users_own_directory_and_file_stay(settings: RunSettings, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_text("precious")
    workspace = Workspace(replace(settings, workdir=tmp_path / "mine", output=tmp_path / "log"))
    assert not workspace.temporary
    workspace.close(keep_output=False)
    assert (tmp_path / "mine" / "file").read_text() == "precious"
    assert (tmp_path / "log").exists()
    assert temporary(tmp_path) == []


def test_an_output_file_that_cannot_be_written_is_unusable(settings: RunSettings, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot keep the output"):
        Workspace(replace(settings, output=tmp_path / "missing" / "log"))
    assert temporary(tmp_path) == []


def test_the_tail_is_short_and_harmless(settings: RunSettings) -> None:
    workspace = Workspace(settings)
    assert workspace.tail() == ()
    assert not workspace.has_output
    os.write(workspace.descriptor, b"\xff bad \x1b[31mred\x1b[0m\n\n  \nprogress 1\rprogress 2\nunfinished")
    assert workspace.has_output
    assert workspace.tail() == ("\ufffd bad red", "progress 1", "progress 2", "unfinished")
    os.write(
        workspace.descriptor, b"\n" + b"x" * 1_000_000 + b"\n" + b"".join(b"%d\n" % n for n in range(100))
    )
    assert workspace.tail() == tuple(str(n) for n in range(100 - TAIL_LINES, 100))
    os.write(workspace.descriptor, b"y" * 1000)
    assert len(workspace.tail()[-1]) == TAIL_WIDTH
    workspace.close(keep_output=False)


def test_the_end_of_a_long_last_line_is_shown(settings: RunSettings) -> None:
    workspace = Workspace(settings)
    os.write(workspace.descriptor, b"earlier\n" + b"x" * 20_000 + b" API key invalid\n\n")
    (line,) = workspace.tail()
    assert line.startswith("…x")
    assert line.endswith("API key invalid")
    assert len(line) <= TAIL_WIDTH
    workspace.close(keep_output=False)


def test_an_output_that_is_no_file_has_no_tail(settings: RunSettings) -> None:
    leader, follower = os.openpty()
    workspace = Workspace(replace(settings, output=Path(os.ttyname(follower))))
    os.write(workspace.descriptor, b"hello\n")
    assert workspace.tail() == ()
    assert not workspace.has_output
    workspace.close(keep_output=False)
    os.close(leader)
    os.close(follower)


def test_read_only_directories_are_removed_too(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "a" / "b").mkdir(parents=True)
    (root / "a" / "b" / "file").touch()
    (tmp_path / "outside").mkdir(mode=0o500)
    (root / "a" / "link").symlink_to(tmp_path / "outside")
    (root / "a" / "b").chmod(0o000)
    (root / "a").chmod(0o500)
    assert remove_workdir(root)
    assert not root.exists()
    assert (tmp_path / "outside").stat().st_mode & 0o777 == 0o500


def test_a_second_run_in_a_workdir_is_refused_and_touches_nothing(
    settings: RunSettings, tmp_path: Path
) -> None:
    """Both would read one log: the DONE of one agent would end both."""
    (tmp_path / "mine").mkdir()
    output = tmp_path / "log"
    given = replace(settings, workdir=tmp_path / "mine", output=output)
    first = Workspace(given)
    os.write(first.descriptor, b"of the first")
    with pytest.raises(UsageError, match="another run is at work in"):
        Workspace(given)
    assert output.read_bytes() == b"of the first"
    first.close(keep_output=True)
    Workspace(given).close(keep_output=True)
