import os
from dataclasses import replace
from pathlib import Path

import pytest

from optio_agents.cli.exit_codes import Unusable
from optio_agents.cli.run.settings import RunSettings
from optio_agents.cli.run.workspace import TAIL_LINES, TAIL_WIDTH, Places, remove_tree


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunSettings:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    return RunSettings(command=("/bin/true",), workdir=None, deliverables=tmp_path / "deliverables")


def temporary(tmp_path: Path) -> list[Path]:
    return list((tmp_path / "tmp").iterdir())


def test_what_is_temporary_goes(settings: RunSettings, tmp_path: Path) -> None:
    places = Places(settings)
    assert places.workdir.is_dir()
    assert places.temporary
    (places.workdir / "deep").mkdir()
    (places.workdir / "deep" / "file").touch()
    places.close(keep_output=False)
    assert temporary(tmp_path) == []


def test_the_output_stays_when_it_is_wanted(settings: RunSettings, tmp_path: Path) -> None:
    places = Places(settings)
    os.write(places.descriptor, b"hello")
    places.close(keep_output=True)
    assert temporary(tmp_path) == [places.output]
    assert places.output.read_bytes() == b"hello"


def test_the_users_own_directory_and_file_stay(settings: RunSettings, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_text("precious")
    places = Places(replace(settings, workdir=tmp_path / "mine", output=tmp_path / "log"))
    assert not places.temporary
    places.close(keep_output=False)
    assert (tmp_path / "mine" / "file").read_text() == "precious"
    assert (tmp_path / "log").exists()
    assert temporary(tmp_path) == []


def test_an_output_file_that_cannot_be_written_is_unusable(settings: RunSettings, tmp_path: Path) -> None:
    with pytest.raises(Unusable, match="cannot keep the output"):
        Places(replace(settings, output=tmp_path / "missing" / "log"))
    assert temporary(tmp_path) == []


def test_the_tail_is_short_and_harmless(settings: RunSettings) -> None:
    places = Places(settings)
    assert places.tail() == ()
    assert not places.has_output
    os.write(places.descriptor, b"\xff bad \x1b[31mred\x1b[0m\n\n  \nprogress 1\rprogress 2\nunfinished")
    assert places.has_output
    assert places.tail() == ("\ufffd bad red", "progress 1", "progress 2", "unfinished")
    os.write(places.descriptor, b"\n" + b"x" * 1_000_000 + b"\n" + b"".join(b"%d\n" % n for n in range(100)))
    assert places.tail() == tuple(str(n) for n in range(100 - TAIL_LINES, 100))
    os.write(places.descriptor, b"y" * 1000)
    assert len(places.tail()[-1]) == TAIL_WIDTH
    places.close(keep_output=False)


def test_an_output_that_is_no_file_has_no_tail(settings: RunSettings) -> None:
    leader, follower = os.openpty()
    places = Places(replace(settings, output=Path(os.ttyname(follower))))
    os.write(places.descriptor, b"hello\n")
    assert places.tail() == ()
    assert not places.has_output
    places.close(keep_output=False)
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
    assert remove_tree(root)
    assert not root.exists()
    assert (tmp_path / "outside").stat().st_mode & 0o777 == 0o500
