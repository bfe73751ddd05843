"""Which paths make up a seed."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from optio_agents.seeds import SeedManifest


def test_paths_are_brought_into_normal_form() -> None:
    manifest = SeedManifest("./home//x", ["./a//b", "c/", "c/d", "ab"])
    assert manifest.home == ("home", "x")
    assert manifest.paths == ("a/b", "ab", "c")
    assert manifest.include == ["./a//b", "c/", "c/d", "ab"]


@pytest.mark.parametrize(
    ("name", "covered"), [("a", True), ("a/b", True), ("ab", False), ("", False), ("c/a", False)]
)
def test_a_path_covers_itself_and_what_is_below(name: str, covered: bool) -> None:
    assert SeedManifest("", ["a"]).covers(name) is covered


@pytest.mark.parametrize("include", [["/etc"], ["../x"], ["a/../b"], [""], ["."], ["a\0"], ["a\nb"], "path"])
def test_a_path_that_leads_out_is_refused_where_it_is_written(include: Any) -> None:
    with pytest.raises(ValueError, match="include"):
        SeedManifest("home", include)
    with pytest.raises(ValueError, match="home_subdir"):
        SeedManifest("../home", ["a"])


def test_it_is_frozen_and_has_the_published_fields() -> None:
    manifest = SeedManifest(home_subdir="home", include=["a"])
    assert (manifest.version, manifest.consume_transform) == (1, None)
    with pytest.raises(dataclasses.FrozenInstanceError):
        manifest.version = 2  # type: ignore[misc]
