from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from optio_agents.config_types import AllowedDir, ClaustrumConfigMixin
from optio_agents.fs_grants import BASELINE, build_grant_flags, fs_isolation_dirs


def pairs(flags: list[str]) -> list[tuple[str, str]]:
    return list(zip(flags[::2], flags[1::2], strict=True))


def grants(*extra: AllowedDir, home: str | None = "/home/me/") -> list[tuple[str, str]]:
    flags = build_grant_flags(
        workdir="/task/", engine_cache_dir="/cache/agent", extra_allowed_dirs=extra, host_home=home
    )
    return pairs(flags)[len(BASELINE) :]


def test_the_baseline_the_workdir_the_program_and_the_extras_in_this_order() -> None:
    flags = pairs(build_grant_flags(workdir="/w", engine_cache_dir="/c", extra_baseline=[("ro", "/opt")]))
    assert flags[: len(BASELINE)] == [(f"--{mode}", path) for mode, path in BASELINE]
    assert flags[len(BASELINE) :] == [("--ro", "/opt"), ("--rwx", "/w"), ("--rox", "/c")]
    assert grants(AllowedDir("/data/", "ro"))[0] == ("--rwx", "/task")


@pytest.mark.parametrize(
    ("path", "granted"),
    [("/", "/"), ("//", "/"), ("/data/", "/data"), ("~", "/home/me"), ("~/x/", "/home/me/x")],
)
def test_a_grant_is_of_the_directory_that_was_named(path: str, granted: str) -> None:
    assert grants(AllowedDir(path, "rw"))[-1] == ("--rw", granted)


@pytest.mark.parametrize("path", ["~", "~/x"])
def test_a_home_that_is_not_known_is_no_directory_of_that_name(path: str) -> None:
    with pytest.raises(ValueError, match="home"):
        grants(AllowedDir(path, "ro"), home=None)


@dataclass
class Loose:
    """Something that is no AllowedDir, as an old config might have it."""

    path: Any
    mode: Any


@pytest.mark.parametrize(
    "entry", [Loose("", "ro"), Loose("data", "ro"), Loose("~bob", "ro"), Loose("/x", "w")]
)
def test_what_was_not_checked_before_is_checked_here(entry: Any) -> None:
    with pytest.raises(ValueError, match="grant"):
        grants(entry)


def test_what_the_agent_is_told() -> None:
    config = ClaustrumConfigMixin(delivery_type="n", extra_allowed_dirs=[AllowedDir("~/x", "ro")])
    assert fs_isolation_dirs(config, "/task") == [("/task", "rwx"), ("~/x", "ro")]
    assert fs_isolation_dirs(ClaustrumConfigMixin(fs_isolation=False), "/task") is None
