"""Which file systems answer by themselves, and what is certainly missing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from optio_agents.hosts.files import file_systems
from optio_agents.hosts.files.file_systems import is_local, is_missing


@pytest.mark.parametrize(("path", "local"), [("/proc", False), ("/dev/shm", True)])
def test_a_file_system_is_known_by_its_type(path: str, local: bool) -> None:
    if not os.path.ismount(path):
        pytest.skip(f"{path} is not mounted")
    descriptor = os.open(path, os.O_RDONLY)
    try:
        assert is_local(descriptor, os.fstat(descriptor).st_dev) is local
    finally:
        os.close(descriptor)


def test_what_cannot_be_known_is_taken_for_local(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As before Linux 5.8."""
    monkeypatch.setattr(file_systems, "mount_number", lambda descriptor: None)
    monkeypatch.setattr(file_systems, "_known", {})
    descriptor = os.open(tmp_path, os.O_RDONLY)
    try:
        assert is_local(descriptor, os.fstat(descriptor).st_dev)
    finally:
        os.close(descriptor)


def test_only_what_is_certainly_missing_is_missing(tmp_path: Path) -> None:
    assert is_missing(str(tmp_path / "new"))
    (tmp_path / "link").symlink_to("nowhere")
    assert not is_missing(str(tmp_path / "link"))
    assert not is_missing(str(tmp_path))
    assert not is_missing("/proc/nothing")  # not asked
