"""Whose account an agent works with, and how much of its allowance is used up.

Agent packages read this from the agent's own credentials and store it in the metadata of a seed.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class UsageWindow:
    """One limit of an account, such as "5 hours" or "week".

    Attributes:
        label: its name.
        pct: how much is used, in percent; 100 and more is used up.
        resets_at: when it begins again, with a time zone; `None` if unknown.
        model: the model it applies to; `None` for all.

    Raises:
        ValueError: `resets_at` has no time zone, so that it could not be compared with the present.
    """

    label: str
    pct: float
    resets_at: datetime | None
    model: str | None = None

    def __post_init__(self) -> None:
        """Refuse a time that cannot be compared."""
        if self.resets_at is not None and self.resets_at.utcoffset() is None:
            raise ValueError(f"UsageWindow.resets_at needs a time zone: {self.resets_at.isoformat()}")

    @property
    def used_up(self) -> bool:
        """Whether nothing is left."""
        return self.pct >= 100

    def to_dict(self) -> dict[str, Any]:
        """As JSON values; the time is in ISO 8601."""
        resets = None if self.resets_at is None else self.resets_at.isoformat()
        return {"label": self.label, "pct": self.pct, "resets_at": resets, "model": self.model}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> UsageWindow:
        """What `to_dict` gave.

        Raises:
            ValueError: it is malformed.
        """
        label, pct = stored.get("label"), stored.get("pct")
        resets, model = stored.get("resets_at"), stored.get("model")
        if not isinstance(label, str) or isinstance(pct, bool) or not isinstance(pct, (int, float)):
            raise ValueError(f"a usage window needs a label and a pct: {stored!r}")
        if not isinstance(resets, (str, datetime, type(None))) or not isinstance(model, (str, type(None))):
            raise ValueError(f"resets_at must be an ISO time and model a string: {stored!r}")
        at = datetime.fromisoformat(resets) if isinstance(resets, str) else resets
        return cls(label, pct, at, model)


@dataclass(frozen=True)
class AccountInfo:
    """An account. Fields that the agent does not report are `None`.

    Attributes:
        name, email: of its owner.
        plan: what was bought.
        account_id: the provider's own id.
        provider: which provider, for agents that work with several.
        windows: its limits.
        raw: the provider's own words.
    """

    name: str | None = None
    email: str | None = None
    plan: str | None = None
    account_id: str | None = None
    provider: str | None = None
    windows: tuple[UsageWindow, ...] = ()
    raw: dict[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        """Own the windows."""
        object.__setattr__(self, "windows", tuple(self.windows))

    @property
    def summary(self) -> str | None:
        """One line for a list: `anthropic · Plan: Max for Ada <ada@example.org>`."""
        owner = f"{self.name} <{self.email}>" if self.name else f"<{self.email}>"
        plan = None
        if self.plan:
            plan = f"Plan: {self.plan} for {owner}" if self.email else f"Plan: {self.plan}"
        if not self.provider:
            return plan
        return f"{self.provider} · {plan or 'unknown account'}"

    def next_reset(self) -> datetime | None:
        """When the first used-up window begins again; `None` if none is used up or none says when."""
        resets = [window.resets_at for window in self.windows if window.used_up and window.resets_at]
        return min(resets, default=None)

    def to_dict(self) -> dict[str, Any]:
        """As JSON values, with `summary` added for readers of the metadata."""
        return {
            "name": self.name,
            "email": self.email,
            "plan": self.plan,
            "account_id": self.account_id,
            "provider": self.provider,
            "summary": self.summary,
            "windows": [window.to_dict() for window in self.windows],
            "raw": self.raw,
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> AccountInfo:
        """What `to_dict` gave; the summary is derived again.

        Raises:
            ValueError: it is malformed.
        """
        if not isinstance(stored, Mapping):
            raise ValueError(f"an account is an object, not {type(stored).__name__}")
        texts = {key: stored.get(key) for key in ("name", "email", "plan", "account_id", "provider")}
        windows, raw = stored.get("windows") or (), stored.get("raw") or {}
        if not all(isinstance(text, (str, type(None))) for text in texts.values()):
            raise ValueError(f"an account's fields must be strings: {texts!r}")
        if not isinstance(raw, Mapping) or not isinstance(windows, (list, tuple)):
            raise ValueError("an account's windows must be a list and raw an object")
        if not all(isinstance(window, Mapping) for window in windows):
            raise ValueError("an account's windows must be objects")
        return cls(**texts, windows=tuple(map(UsageWindow.from_dict, windows)), raw=dict(raw))


EMPTY = AccountInfo()
"""Nothing is known."""


def is_limited(info: AccountInfo, now: datetime, models: Collection[str] = ()) -> bool:
    """Whether the account cannot be used at `now`.

    Args:
        info: the account.
        now: the present, with a time zone.
        models: the models that will be used; the windows of other models do not count.
    """
    return any(
        window.used_up
        and (window.model is None or window.model in models)
        and (window.resets_at is None or window.resets_at > now)
        for window in info.windows
    )


def any_usable(accounts: Iterable[AccountInfo], now: datetime, models: Collection[str] = ()) -> bool:
    """Whether at least one account is not limited."""
    return any(not is_limited(account, now, models) for account in accounts)


def accounts_to_metadata(accounts: Iterable[AccountInfo]) -> list[dict[str, Any]]:
    """For the `accounts` key of a seed's metadata."""
    return [account.to_dict() for account in accounts]


def account_dicts_from_metadata(metadata: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """The accounts as they are stored: under `accounts`, or a single one under `account` (older seeds).

    Entries that are no objects are left out.
    """
    stored = metadata or {}
    accounts = stored.get("accounts")
    if accounts is None:
        accounts = [stored["account"]] if stored.get("account") else []
    if not isinstance(accounts, (list, tuple)):
        _log.warning("accounts in a seed's metadata are no list but %s: ignored", type(accounts).__name__)
        return []
    return [dict(account) for account in accounts if isinstance(account, Mapping)]


def accounts_from_metadata(metadata: Mapping[str, Any] | None) -> list[AccountInfo]:
    """The accounts in a seed's metadata.

    A malformed one is logged and left out, so that one bad entry does not hide a whole pool.
    """
    accounts = []
    for stored in account_dicts_from_metadata(metadata):
        try:
            accounts.append(AccountInfo.from_dict(stored))
        except ValueError as error:
            _log.warning("an account in a seed's metadata is malformed and was left out: %s", error)
    return accounts
