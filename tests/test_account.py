from __future__ import annotations

import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from optio_agents.account import (
    EMPTY,
    AccountInfo,
    UsageWindow,
    account_dicts_from_metadata,
    accounts_from_metadata,
    accounts_to_metadata,
    any_usable,
    is_limited,
)

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
LATER, EARLIER = NOW + timedelta(hours=1), NOW - timedelta(hours=1)
ADA = AccountInfo("Ada", "ada@example.org", "Max", "id1", "anthropic", raw={"tier": 5})


def limited(pct: float, resets_at: datetime | None, model: str | None = None) -> AccountInfo:
    return replace(ADA, windows=(UsageWindow("5 hours", pct, resets_at, model),))


def test_an_account_survives_its_storage() -> None:
    account = limited(99.5, LATER, "opus")
    stored = account.to_dict()
    assert stored["windows"][0]["resets_at"] == "2026-05-04T13:00:00+00:00"
    assert AccountInfo.from_dict(stored) == account
    assert accounts_from_metadata({"accounts": accounts_to_metadata([account, EMPTY])}) == [account, EMPTY]


@pytest.mark.parametrize(
    ("fields", "summary"),
    [
        (("Ada", "a@b", "Max", None), "Plan: Max for Ada <a@b>"),
        ((None, "a@b", "Max", None), "Plan: Max for <a@b>"),
        (("Ada", None, "Max", None), "Plan: Max"),
        (("Ada", "a@b", None, None), None),
        (("Ada", "a@b", "Max", "xai"), "xai · Plan: Max for Ada <a@b>"),
        (("Ada", "a@b", None, "xai"), "xai · unknown account"),
    ],
)
def test_the_summary(fields: tuple[str | None, ...], summary: str | None) -> None:
    name, email, plan, provider = fields
    assert AccountInfo(name=name, email=email, plan=plan, provider=provider).summary == summary


@pytest.mark.parametrize(
    ("account", "models", "expected"),
    [
        (limited(100, LATER), (), True),
        (limited(100, None), (), True),
        (limited(100, EARLIER), (), False),
        (limited(100, NOW), (), False),
        (limited(99.9, LATER), (), False),
        (limited(100, LATER, "opus"), (), False),
        (limited(100, LATER, "opus"), ("opus",), True),
        (EMPTY, ("opus",), False),
    ],
)
def test_whether_an_account_is_used_up(account: AccountInfo, models: tuple[str, ...], expected: bool) -> None:
    assert is_limited(account, NOW, models) is expected
    assert any_usable([account], NOW, models) is not expected


def test_without_accounts_none_is_usable() -> None:
    assert not any_usable([], NOW)


def test_the_next_reset_is_the_first_of_the_windows_that_are_used_up() -> None:
    windows = [UsageWindow("a", 100, LATER), UsageWindow("b", 120, NOW), UsageWindow("c", 5, EARLIER)]
    assert AccountInfo(windows=tuple(windows)).next_reset() == NOW
    assert limited(100, None).next_reset() is None


def test_a_time_that_cannot_be_compared_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        UsageWindow("a", 1, datetime(2026, 5, 4))


def test_an_older_seed_has_a_single_account() -> None:
    assert accounts_from_metadata({"account": ADA.to_dict()}) == [ADA]
    assert account_dicts_from_metadata({"account": ADA.to_dict()}) == [ADA.to_dict()]
    assert accounts_from_metadata({}) == accounts_from_metadata(None) == []


WINDOW = {"label": "a", "pct": 1.0, "resets_at": None}


@pytest.mark.parametrize(
    "stored",
    [
        3,
        {"name": 3},
        {"windows": 3},
        {"windows": [3]},
        {"raw": [1]},
        *(
            {"windows": [{**WINDOW, **wrong}]}
            for wrong in ({"label": None}, {"pct": None}, {"pct": "9"}, {"resets_at": "noon"}, {"model": 3})
        ),
        {"windows": [{**WINDOW, "resets_at": "2026-05-04T13:00:00"}]},
        {"windows": [{"pct": 1.0}]},
    ],
)
def test_a_malformed_account_does_not_hide_the_others(stored: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert accounts_from_metadata({"accounts": [stored, ADA.to_dict()]}) == [ADA]
    with pytest.raises(ValueError, match=r".+"):
        AccountInfo.from_dict(stored)


def test_metadata_that_is_no_list_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert accounts_from_metadata({"accounts": "x"}) == []
    assert "no list" in caplog.text
