"""Leases: on the server's clock, by one holder at a time."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from bson import ObjectId

from optio_agents import seeds
from tests.seeds.lab import NAMED, PREFIX, SUFFIX, Lab, run

pytestmark = pytest.mark.servers


async def _seed(lab: Lab, pool: str | None = "pool") -> str:
    seed_id = await seeds.insert_seed(lab.db, blob_id=ObjectId(), manifest_version=1, **NAMED)
    if pool is not None:
        await seeds.assign_to_pool(lab.db, seed_id=seed_id, poolKey=pool, **NAMED)
    return seed_id


async def _acquire(lab: Lab, holder: str, pool: str = "pool") -> str | None:
    return await seeds.acquire(lab.db, poolKey=pool, holder=holder, **NAMED)


def test_two_holders_never_have_one_seed(database: str, tmp_path: Path) -> None:
    async def scenario(lab: Lab) -> None:
        pooled = {await _seed(lab) for _ in range(5)}
        await _seed(lab, pool=None)
        await _seed(lab, pool="other")
        got = await asyncio.gather(*(_acquire(lab, f"holder {number}") for number in range(12)))
        assert sorted(filter(None, got)) == sorted(pooled)

    run(database, tmp_path, scenario)


def test_a_lease_ends_a_minute_after_it_was_taken_by_the_servers_clock(database: str, tmp_path: Path) -> None:
    async def scenario(lab: Lab) -> None:
        seed_id = await _seed(lab)
        await _acquire(lab, "$holder")
        document = await lab.document(seed_id)
        assert document["lease"]["holder"] == "$holder"  # a name is never read as an expression
        assert document["lease"]["expiresAt"] - document["lastLeasedAt"] == timedelta(
            seconds=seeds.LEASE_TTL_SECONDS
        )
        now = (await lab.db.command("hello"))["localTime"]
        assert abs(now - document["lastLeasedAt"]) < timedelta(seconds=60)
        assert "updatedAt" in document

    run(database, tmp_path, scenario)


def test_an_expired_lease_can_be_taken_and_its_former_holder_learns_of_it(
    database: str, tmp_path: Path
) -> None:
    async def scenario(lab: Lab) -> None:
        seed_id = await _seed(lab)
        assert await _acquire(lab, "first") == seed_id
        assert await _acquire(lab, "second") is None
        await lab.expire(seed_id)
        assert await _acquire(lab, "second") == seed_id
        assert not await seeds.renew_lease(lab.db, seed_id=seed_id, holder="first", **NAMED)
        await seeds.release(lab.db, seed_id=seed_id, holder="first", **NAMED)
        assert (await lab.document(seed_id))["lease"]["holder"] == "second"

    run(database, tmp_path, scenario)


def test_a_lease_is_renewed_from_now_on_also_when_it_expired_and_is_free(
    database: str, tmp_path: Path
) -> None:
    async def scenario(lab: Lab) -> None:
        seed_id = await _seed(lab)
        await _acquire(lab, "first")
        await lab.expire(seed_id)
        assert await seeds.renew_lease(lab.db, seed_id=seed_id, holder="first", **NAMED)
        assert await _acquire(lab, "second") is None
        await seeds.release(lab.db, seed_id=seed_id, holder="first", **NAMED)
        assert (await lab.document(seed_id))["lease"] is None
        assert await _acquire(lab, "second") == seed_id

    run(database, tmp_path, scenario)


def test_the_seed_that_was_not_used_for_the_longest_time_comes_first(database: str, tmp_path: Path) -> None:
    async def scenario(lab: Lab) -> None:
        ids = [await _seed(lab) for _ in range(3)]
        order = []
        for number in range(6):
            got = await _acquire(lab, str(number))
            assert got is not None
            order.append(got)
            await seeds.release(lab.db, seed_id=got, holder=str(number), **NAMED)
        assert sorted(order[:3]) == sorted(ids)
        assert order[3:] == order[:3]

    run(database, tmp_path, scenario)


def test_a_dead_seed_is_not_leased(database: str, tmp_path: Path) -> None:
    async def scenario(lab: Lab) -> None:
        seed_id = await _seed(lab)
        await seeds.mark_seed_status(lab.db, seed_id=seed_id, status="dead", **NAMED)
        assert await _acquire(lab, "first") is None
        await seeds.mark_seed_status(lab.db, seed_id=seed_id, status="alive", **NAMED)
        assert await _acquire(lab, "first") == seed_id

    run(database, tmp_path, scenario)


def test_expired_leases_are_reaped(database: str, tmp_path: Path) -> None:
    async def scenario(lab: Lab) -> None:
        expired, active = await _seed(lab), await _seed(lab)
        assert {await _acquire(lab, "one"), await _acquire(lab, "two")} == {expired, active}
        await lab.expire(expired)
        assert await seeds.reap_expired_leases(lab.db, **NAMED) == 1
        assert (await lab.document(expired))["lease"] is None
        assert (await lab.document(active))["lease"] is not None

    run(database, tmp_path, scenario)


def test_leasing_uses_an_index(database: str, tmp_path: Path) -> None:
    async def scenario(lab: Lab) -> None:
        await _seed(lab)
        await _acquire(lab, "first")
        indexes = await lab.db[PREFIX + SUFFIX].index_information()
        assert [("poolKey", 1), ("lastLeasedAt", 1)] in [each["key"] for each in indexes.values()]

    run(database, tmp_path, scenario)


# The document.


def test_metadata_keys_are_merged_and_dots_are_part_of_them(database: str, tmp_path: Path) -> None:
    async def scenario(lab: Lab) -> None:
        seed_id = await _seed(lab)

        async def declare(metadata: dict[str, object]) -> None:
            await seeds.declare_metadata(lab.db, seed_id=seed_id, metadata=metadata, **NAMED)

        await declare({"gpt-5.1": {"used": 3}, "plan": "$pro"})
        await declare({"plan": "max", "fetched": datetime(2026, 1, 1, tzinfo=UTC), "empty": {}})
        metadata = (await lab.document(seed_id))["metadata"]
        assert {key: metadata[key] for key in ("gpt-5.1", "plan", "empty")} == {
            "gpt-5.1": {"used": 3},
            "plan": "max",
            "empty": {},
        }
        for key in ("", "$set", "a\0b"):
            with pytest.raises(ValueError, match="metadata key"):
                await declare({key: 1})
        assert set((await lab.document(seed_id))["metadata"]) == {"gpt-5.1", "plan", "fetched", "empty"}

    run(database, tmp_path, scenario)


def test_a_pool_is_listed_with_what_the_dashboard_shows(database: str, tmp_path: Path) -> None:
    async def scenario(lab: Lab) -> None:
        first, second = await _seed(lab), await _seed(lab)
        await _acquire(lab, "one")
        await seeds.declare_metadata(lab.db, seed_id=second, metadata={"a": 1}, **NAMED)
        await seeds.mark_seed_status(lab.db, seed_id=second, status="dead", **NAMED)
        rows = await seeds.list_pool(lab.db, poolKey="pool", **NAMED)
        assert [(row["seedId"], row["status"], row["leased"], row["metadata"]) for row in rows] == [
            (first, "alive", True, {}),
            (second, "dead", False, {"a": 1}),
        ]
        assert set(rows[0]) == {
            "seedId", "status", "leased", "lastRefreshedAt", "lastVerifiedAt", "createdAt", "metadata",
        }  # fmt: skip
        assert rows[0]["lastRefreshedAt"] == (await lab.document(first))["updatedAt"]
        await lab.expire(first)
        assert not (await seeds.list_pool(lab.db, poolKey="pool", **NAMED))[0]["leased"]
        listed = await seeds.list_seeds(lab.db, **NAMED)
        assert [set(row) for row in listed] == [{"seedId", "createdAt"}] * 2
        assert [row["seedId"] for row in listed] == [first, second]

    run(database, tmp_path, scenario)


@pytest.mark.parametrize("seed_id", ["nonsense", "0123456789abcdef01234567"])
def test_an_unknown_id_changes_nothing_and_is_logged(
    database: str, tmp_path: Path, seed_id: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(lab: Lab) -> None:
        await seeds.mark_seed_status(lab.db, seed_id=seed_id, status="dead", **NAMED)
        await seeds.assign_to_pool(lab.db, seed_id=seed_id, poolKey="pool", **NAMED)
        await seeds.declare_metadata(lab.db, seed_id=seed_id, metadata={"a": 1}, **NAMED)
        assert len([each for each in caplog.records if seed_id in each.getMessage()]) == 3
        assert not await seeds.renew_lease(lab.db, seed_id=seed_id, holder="h", **NAMED)
        await seeds.release(lab.db, seed_id=seed_id, holder="h", **NAMED)
        assert await seeds.load_seed(lab.db, seed_id=seed_id, **NAMED) is None
        assert await seeds.delete_seed(lab.db, seed_id=seed_id, **NAMED) is None
        assert await seeds.list_seeds(lab.db, **NAMED) == []

    run(database, tmp_path, scenario)


def test_a_status_that_is_none_is_refused(database: str, tmp_path: Path) -> None:
    async def scenario(lab: Lab) -> None:
        seed_id = await _seed(lab)
        with pytest.raises(ValueError, match="not 'asleep'"):
            await seeds.mark_seed_status(lab.db, seed_id=seed_id, status="asleep", **NAMED)
        assert await seeds.delete_seed(lab.db, seed_id=seed_id, **NAMED) is not None

    run(database, tmp_path, scenario)
