"""Answers that are kept for a day."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from motor.motor_asyncio import AsyncIOMotorClient

from optio_agents.model_probe import PROBE_CACHE_TTL, load_probe_cache, probe_cache_key, save_probe_cache
from tests.support.servers import Mongo

pytestmark = pytest.mark.servers

NOW = datetime(2026, 1, 1, tzinfo=UTC)
FOUND = {"gpt-5.1": True, "gpt-4": False}


def run(mongo: Mongo, scenario: Callable[[Any], Awaitable[None]]) -> None:
    async def whole() -> None:
        client: Any = AsyncIOMotorClient(mongo.url)
        try:
            await scenario(client[f"test_{uuid.uuid4().hex[:12]}"])
        finally:
            client.close()

    asyncio.run(whole())


def test_what_was_found_is_kept_for_a_day(mongo: Mongo) -> None:
    async def scenario(db: Any) -> None:
        assert await load_probe_cache(db, "p", "seed", suffix="_x") is None
        await save_probe_cache(db, "p", "seed", {"gpt-4": True}, suffix="_x", now=NOW)
        await save_probe_cache(db, "p", "seed", FOUND, suffix="_x", now=NOW)
        assert await load_probe_cache(db, "p", "seed", suffix="_x", now=NOW + PROBE_CACHE_TTL) == FOUND
        later = NOW + PROBE_CACHE_TTL + timedelta(seconds=1)
        assert await load_probe_cache(db, "p", "seed", suffix="_x", now=later) is None
        assert await load_probe_cache(db, "p", "other", suffix="_x", now=NOW) is None
        assert await db["p_x"].count_documents({}) == 1

    run(mongo, scenario)


def test_an_outage_is_not_kept(mongo: Mongo) -> None:
    async def scenario(db: Any) -> None:
        await save_probe_cache(db, "p", "seed", FOUND, suffix="_x", now=NOW)
        await save_probe_cache(db, "p", "seed", dict.fromkeys(FOUND, False), suffix="_x", now=NOW)
        assert await load_probe_cache(db, "p", "seed", suffix="_x", now=NOW) == FOUND
        await save_probe_cache(db, "p", "new", {}, suffix="_x", now=NOW)
        assert await load_probe_cache(db, "p", "new", suffix="_x", now=NOW) is None

    run(mongo, scenario)


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"usable": [], "probedAt": NOW},
        {"usable": {"a": 1}, "probedAt": NOW},
        {"usable": {"a": True}, "probedAt": "x"},
    ],
)
def test_a_malformed_document_is_none(mongo: Mongo, document: dict[str, Any]) -> None:
    async def scenario(db: Any) -> None:
        await db["p_x"].insert_one({"_id": "seed", **document})
        assert await load_probe_cache(db, "p", "seed", suffix="_x", now=NOW) is None

    run(mongo, scenario)


@pytest.mark.parametrize(
    ("resolved", "configured", "key"),
    [("a", "b", "a"), (None, "b", "b"), (None, lambda: "b", None), (None, None, None), ("", "b", "")],
)
def test_which_seed_answers_are_kept_with(resolved: str | None, configured: object, key: str | None) -> None:
    assert probe_cache_key(resolved, configured) == key
