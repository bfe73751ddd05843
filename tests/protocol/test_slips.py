"""Slips in lines that a keyword fits."""

from __future__ import annotations

import pytest

from optio_agents.protocol.features import DEFAULT_FEATURES
from optio_agents.protocol.parser import parse_log_line
from optio_agents.protocol.slips import slip


def slip_of(line: str) -> str | None:
    return slip(line, parse_log_line(line, features=DEFAULT_FEATURES))


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ("STATUS: -5% negative", "`-5%` is not read as a percentage"),
        ("STATUS: 50 % spaced", "`50 %` is not read"),
        ("STATUS: 50.5% decimal", "`50.5%` is not read"),
        ("STATUS: 90%no space", "`90%` is not read"),
        ("STATUS: 50%", "and then a text"),
        ("STATUS: 185% too much", "185% is taken as 100%"),
        ('DELIVERABLE: "deliverables/a.txt"', "write `DELIVERABLE: deliverables/a.txt` without them"),
        ("DELIVERABLE: report.md", "only files in ./deliverables/ can be delivered"),
    ],
)
def test_a_slip_is_named_with_its_remedy(line: str, part: str) -> None:
    text = slip_of(line)
    assert text is not None
    assert part in text


@pytest.mark.parametrize(
    "line",
    [
        "STATUS: 50% x",
        "STATUS: 100% x",
        "STATUS: reading 50% of it",
        "STATUS: 12 files",
        "DELIVERABLE: deliverables/a.txt",
        "DELIVERABLE: ./deliverables/a.txt",
        "DELIVERABLE: /w/deliverables/a.txt",
        "DONE: 50 % of it",
        "plain 50 %",
    ],
)
def test_a_line_as_it_should_be_has_none(line: str) -> None:
    assert slip_of(line) is None
