"""What a probe found, kept for a day with the seed whose account it was asked of.

One document for each seed in the collection `prefix + suffix`: `{_id: seed_id, usable: {model: bool}, probedAt}`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

PROBE_CACHE_TTL = timedelta(hours=24)

_logger = logging.getLogger(__name__)


def probe_cache_key(resolved_seed_id: str | None, config_seed_id: object) -> str | None:
    """The seed to keep answers with: the one in use, else the configured one if that is an id; `None` for no cache."""
    if resolved_seed_id is not None:
        return resolved_seed_id
    return config_seed_id if isinstance(config_seed_id, str) else None


async def load_probe_cache(
    db: Any, prefix: str, seed_id: str, *, suffix: str, now: datetime | None = None
) -> dict[str, bool] | None:
    """What was found less than `PROBE_CACHE_TTL` ago; `None` if nothing was, or it is malformed."""
    document = await db[prefix + suffix].find_one({"_id": seed_id})
    if not isinstance(document, Mapping):
        return None
    probed, usable = document.get("probedAt"), document.get("usable")
    if not isinstance(probed, datetime) or not isinstance(usable, Mapping):
        return None
    if not all(isinstance(model, str) and isinstance(verdict, bool) for model, verdict in usable.items()):
        return None
    age = (now or datetime.now(UTC)) - _aware(probed)
    return dict(usable) if age <= PROBE_CACHE_TTL else None


async def save_probe_cache(
    db: Any,
    prefix: str,
    seed_id: str,
    usable: Mapping[str, bool],
    *,
    suffix: str,
    now: datetime | None = None,
) -> None:
    """Keep what was found.

    An answer in which no model is usable is not kept: that is an outage, and would last for a day.
    """
    if not any(usable.values()):
        _logger.warning("no model answered the probe of seed %s: this is not kept", seed_id)
        return
    fields = {"usable": dict(usable), "probedAt": now or datetime.now(UTC)}
    await db[prefix + suffix].replace_one({"_id": seed_id}, {"_id": seed_id, **fields}, upsert=True)


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
