import posixpath

import pytest
from hypothesis import given, settings, strategies as st

from optio_agents.protocol.paths import (
    DELIVERABLES_SUBDIR,
    locate,
    relativize_deliverable_path,
    validate_deliverable_path,
)
from optio_agents.protocol.rejections import DeliverableRejected, RejectionKind


@pytest.mark.parametrize(
    ("path", "absolute"),
    [
        ("a", "/w/a"),
        ("./a", "/w/a"),
        ("", "/w"),
        ("deliverables/a", "/w/deliverables/a"),
        ("deliverables//a/../b/", "/w/deliverables/b"),
        ("/w/deliverables/a b", "/w/deliverables/a b"),
        ("/w/../w/a", "/w/a"),
        ("//w/a", "/w/a"),
        ("~/x", "/w/~/x"),
        (" a", "/w/ a"),
    ],
)
def test_paths_become_absolute_and_normal(path: str, absolute: str) -> None:
    assert validate_deliverable_path(path, "/w") == absolute
    assert validate_deliverable_path(path, "/w/") == absolute


@pytest.mark.parametrize(
    "path",
    ["..", "../x", "/etc/passwd", "/", "/wx/a", "a/../../x", "a\0b", "\ud800", "x" * 256, "x/" * 2_500 + "x"],
)
def test_no_path_leads_out_of_the_workdir(path: str) -> None:
    with pytest.raises(ValueError):
        validate_deliverable_path(path, "/w")


def test_paths_are_made_relative_to_the_deliverables() -> None:
    assert relativize_deliverable_path("/w/deliverables/sub/a", "/w") == "sub/a"
    assert relativize_deliverable_path("/w/./deliverables//a", "/w/") == "a"
    for path in (
        "/w/a",
        "/w/deliverables",
        "/w/deliverables/",
        "/w/deliverables/../a",
        "/w/deliverablesx/a",
        "a",
    ):
        with pytest.raises(ValueError):
            relativize_deliverable_path(path, "/w")
    with pytest.raises(ValueError):
        relativize_deliverable_path("deliverables/a", "/w")


@pytest.mark.parametrize(
    "text", ["deliverables/a", "./deliverables/a", "/w/deliverables/a", "x/../deliverables/a"]
)
def test_an_announced_file_is_located(text: str) -> None:
    assert locate(text, "/w") == "a"
    assert locate("deliverables/a", "/") == "a"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("deliverables", RejectionKind.INVALID_PATH),
        ("/w/deliverables/", RejectionKind.INVALID_PATH),
        ("deliverables/a\0b", RejectionKind.INVALID_PATH),
        ("deliverables/\udcff", RejectionKind.INVALID_PATH),
        ("deliverables/" + "\u00e9" * 128, RejectionKind.INVALID_PATH),
        ("deliverables/" + "x/" * 3_000, RejectionKind.INVALID_PATH),
        ("a.txt", RejectionKind.OUTSIDE),
        ("deliverables/../a", RejectionKind.OUTSIDE),
        ("../deliverables/a", RejectionKind.OUTSIDE),
        ("/etc/passwd", RejectionKind.OUTSIDE),
        ('"deliverables/a"', RejectionKind.OUTSIDE),
    ],
)
def test_a_path_that_cannot_be_delivered_is_rejected_for_its_reason(text: str, kind: RejectionKind) -> None:
    with pytest.raises(DeliverableRejected) as caught:
        locate(text, "/w")
    assert caught.value.kind is kind


_names = st.sampled_from(["..", ".", "", "deliverables", "a", "w", "/", "/w", "\0", "\ud800", "..."])


@settings(deadline=None)
@given(st.lists(_names | st.text(max_size=3), max_size=6).map("/".join))
def test_whatever_is_located_lies_beneath_the_deliverables(text: str) -> None:
    try:
        relative = locate(text, "/w")
    except DeliverableRejected:
        return
    assert relative
    assert not relative.startswith("/")
    assert ".." not in relative.split("/")
    base = f"/w/{DELIVERABLES_SUBDIR}"
    assert posixpath.commonpath([base, posixpath.normpath(posixpath.join(base, relative))]) == base


def test_the_length_of_a_path_is_judged_with_its_workdir() -> None:
    workdir = "/" + "w" * 200
    room = 4_095 - len(f"{workdir}/deliverables/")
    longest = ("x/" * room)[: room - 1] + "x"
    assert locate(f"deliverables/{longest}", workdir) == longest
    with pytest.raises(DeliverableRejected) as caught:
        locate(f"deliverables/x{longest}", workdir)
    assert caught.value.kind is RejectionKind.INVALID_PATH
