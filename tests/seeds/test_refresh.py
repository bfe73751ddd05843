"""Refreshing a seed: nothing is lost, nothing of a former holder comes back, nothing stays behind."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from bson import ObjectId
from motor.motor_asyncio import AsyncIOMotorGridFSBucket
from pymongo.errors import AutoReconnect

from optio_agents import seeds
from optio_agents.seeds import blobs as blobs_module
from tests.seeds.lab import NAMED, PREFIX, SUFFIX, Lab, run, scramble

pytestmark = pytest.mark.servers


def test_live_files_replace_stored_ones_and_absent_ones_are_kept(database: str, tmp_path: Path) -> None:
    async def scenario(lab: Lab) -> None:
        seed_id = await lab.capture(await lab.host("one", _config__agent="", _agent__a="A", _agent__b="B"))
        before = await lab.document(seed_id)
        await lab.refresh(await lab.host("two", _agent__b="B2", _agent__c="C", notes="private"), seed_id)
        after = await lab.document(seed_id)
        assert after["blobId"] != before["blobId"]
        assert {**after, "blobId": 0, "updatedAt": 0} == {**before, "blobId": 0, "updatedAt": 0}
        assert await lab.planted(seed_id) == {".agent/a": "A", ".agent/b": "B2", ".agent/c": "C"}
        await lab.assert_only_listed_blobs()

    run(database, tmp_path, scenario)


def test_one_member_is_overwritten_without_a_host(database: str, tmp_path: Path) -> None:
    async def scenario(lab: Lab) -> None:
        seed_id = await lab.capture(await lab.host("one", _agent__a="A", _agent__b="B"))
        await lab.overwrite(seed_id, ".agent/b", b"B2")
        await lab.overwrite(seed_id, "./.agent//c", b"C")
        assert await lab.planted(seed_id) == {".agent/a": "A", ".agent/b": "B2", ".agent/c": "C"}
        for path in ("../outside", "/etc/passwd", "", "a/../b"):
            with pytest.raises(ValueError, match="member_path"):
                await lab.overwrite(seed_id, path, b"")
        await lab.assert_only_listed_blobs()

    run(database, tmp_path, scenario)


def test_a_file_takes_the_place_of_a_directory_and_the_reverse(database: str, tmp_path: Path) -> None:
    async def scenario(lab: Lab) -> None:
        seed_id = await lab.capture(await lab.host("one", _agent__a__deep="A", _agent__b="B"))
        await lab.refresh(await lab.host("two", _agent__a="flat", _agent__b__deep="B"), seed_id)
        assert await lab.planted(seed_id) == {".agent/a": "flat", ".agent/b/deep": "B"}

    run(database, tmp_path, scenario)


def test_an_unknown_seed_is_a_key_error(database: str, tmp_path: Path) -> None:
    async def scenario(lab: Lab) -> None:
        host = await lab.host("one")
        for seed_id in ("nonsense", str(ObjectId())):
            with pytest.raises(KeyError, match="unknown seed_id"):
                await lab.refresh(host, seed_id)
            with pytest.raises(KeyError, match="unknown seed_id"):
                await lab.overwrite(seed_id, "a", b"")

    run(database, tmp_path, scenario)


def test_refreshes_at_the_same_time_lose_no_update(database: str, tmp_path: Path) -> None:
    async def scenario(lab: Lab) -> None:
        seed_id = await lab.capture(await lab.host("one", _agent__a="A"))
        names = [f"f{number}" for number in range(5)]
        hosts = [await lab.host(name, **{f"_agent__{name}": name}) for name in names]
        await asyncio.gather(
            *(lab.refresh(host, seed_id) for host in hosts),
            *(lab.overwrite(seed_id, f".agent/o{number}", b"over") for number in range(3)),
        )
        expected = {".agent/a": "A"} | {f".agent/{name}": name for name in names}
        assert await lab.planted(seed_id) == expected | {f".agent/o{number}": "over" for number in range(3)}
        await lab.assert_only_listed_blobs()

    run(database, tmp_path, scenario)


def test_a_base_that_is_replaced_while_it_is_read_is_read_again(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(lab: Lab) -> None:
        seed_id = await lab.capture(await lab.host("one", _agent__a="A"))
        once = [lambda: lab.overwrite(seed_id, ".agent/b", b"B")]
        _before_reading(monkeypatch, once)
        await lab.overwrite(seed_id, ".agent/c", b"C")
        assert await lab.planted(seed_id) == {".agent/a": "A", ".agent/b": "B", ".agent/c": "C"}

    run(database, tmp_path, scenario)


def _before_reading(
    monkeypatch: pytest.MonkeyPatch, once: list[Callable[[], Coroutine[Any, Any, None]]]
) -> None:
    """Do what is in `once` before the next blob is read."""
    from optio_agents.seeds import refresh

    original = getattr(refresh, "read_blob")  # noqa: B009 - imported there, not exported

    async def read(*args: Any, **keywords: Any) -> None:
        if once:
            await once.pop()()
        await original(*args, **keywords)

    monkeypatch.setattr(refresh, "read_blob", read)


# The lease.


@pytest.mark.parametrize("explicit", [True, False], ids=["named", "of this task"])
def test_a_holder_that_lost_the_lease_writes_nothing(database: str, tmp_path: Path, explicit: bool) -> None:
    async def scenario(lab: Lab) -> None:
        host = await lab.host("one", _agent__a="A")
        seed_id = await lab.pooled(host)
        keywords = {"holder": "first"} if explicit else {}
        first_may_go_on = asyncio.Event()

        async def first() -> None:
            assert await seeds.acquire(lab.db, poolKey="pool", holder="first", **NAMED) == seed_id
            await lab.refresh(await lab.host("two", _agent__a="of the first holder"), seed_id, **keywords)
            acquired.set()
            await first_may_go_on.wait()
            # A credential watcher is a task of its own.
            late = await lab.host("three", _agent__a="stale")
            with pytest.raises(seeds.LeaseLost, match="leased by 'second'"):
                await asyncio.create_task(lab.refresh(late, seed_id, **keywords))
            with pytest.raises(seeds.LeaseLost):
                await lab.overwrite(seed_id, ".agent/a", b"stale", **keywords)

        acquired = asyncio.Event()
        holding = asyncio.create_task(first())
        await acquired.wait()
        await lab.expire(seed_id)
        assert await seeds.acquire(lab.db, poolKey="pool", holder="second", **NAMED) == seed_id
        await lab.overwrite(seed_id, ".agent/a", b"of the second holder")
        first_may_go_on.set()
        await holding
        assert await lab.planted(seed_id) == {".agent/a": "of the second holder"}
        await lab.assert_only_listed_blobs()

    run(database, tmp_path, scenario)


def test_the_lease_that_is_lost_during_a_refresh_is_noticed_at_the_swap(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(lab: Lab) -> None:
        seed_id = await lab.pooled(await lab.host("one", _agent__a="A"))
        await seeds.acquire(lab.db, poolKey="pool", holder="first", **NAMED)

        async def lose() -> None:
            await lab.expire(seed_id)
            await asyncio.create_task(seeds.acquire(lab.db, poolKey="pool", holder="second", **NAMED))

        _before_reading(monkeypatch, [lose])
        with pytest.raises(seeds.LeaseLost):
            await lab.overwrite(seed_id, ".agent/a", b"stale")
        assert await lab.planted(seed_id) == {".agent/a": "A"}
        await lab.assert_only_listed_blobs()

    run(database, tmp_path, scenario)


@pytest.mark.parametrize("how", ["acquired", "renewed"])
def test_a_task_that_was_started_elsewhere_writes_nothing_once_its_process_lost_the_lease(
    database: str, tmp_path: Path, how: str
) -> None:
    async def scenario(lab: Lab) -> None:
        seed_id = await lab.pooled(await lab.host("one", _agent__a="A"))
        taking = {"lease": {"holder": "of this process", "expiresAt": None}}
        if how == "renewed":  # It was acquired before the worker was started again.
            await lab.db[PREFIX + SUFFIX].update_one({"_id": ObjectId(seed_id)}, {"$set": taking})
            call: Any = seeds.renew_lease(lab.db, seed_id=seed_id, holder="of this process", **NAMED)
        else:
            call = seeds.acquire(lab.db, poolKey="pool", holder="of this process", **NAMED)
        assert await asyncio.create_task(call)
        await lab.overwrite(seed_id, ".agent/a", b"A2")  # This task knows nothing of that one.
        await lab.expire(seed_id)
        taken = {"lease.holder": "of another worker", "lastHolder": "of another worker"}
        await lab.db[PREFIX + SUFFIX].update_one({"_id": ObjectId(seed_id)}, {"$set": taken})
        with pytest.raises(seeds.LeaseLost, match="of another worker"):
            await lab.overwrite(seed_id, ".agent/a", b"stale")
        assert await lab.contents(seed_id) == {".agent/a": "A2"}
        await seeds.release(lab.db, seed_id=seed_id, holder="of this process", **NAMED)
        await lab.overwrite(seed_id, ".agent/a", b"by someone without a lease")

    run(database, tmp_path, scenario)


def test_an_expired_lease_that_nobody_took_is_good_enough(database: str, tmp_path: Path) -> None:
    async def scenario(lab: Lab) -> None:
        seed_id = await lab.pooled(await lab.host("one", _agent__a="A"))
        await seeds.acquire(lab.db, poolKey="pool", holder="first", **NAMED)
        await lab.expire(seed_id)
        await lab.overwrite(seed_id, ".agent/a", b"A2")
        assert await lab.planted(seed_id) == {".agent/a": "A2"}

    run(database, tmp_path, scenario)


@pytest.mark.parametrize("another", [False, True])
def test_a_lease_that_was_given_back_counts_until_another_holder_had_the_seed(
    database: str, tmp_path: Path, another: bool
) -> None:
    async def scenario(lab: Lab) -> None:
        seed_id = await lab.pooled(await lab.host("one", _agent__a="A"))
        named = {"seed_id": seed_id, **NAMED}
        await seeds.acquire(lab.db, poolKey="pool", holder="first", **NAMED)
        await seeds.release(lab.db, holder="first", **named)
        if another:
            await asyncio.create_task(seeds.acquire(lab.db, poolKey="pool", holder="second", **NAMED))
            await seeds.release(lab.db, holder="second", **named)
            with pytest.raises(seeds.LeaseLost):
                await lab.overwrite(seed_id, ".agent/a", b"A2")
        else:
            await lab.overwrite(seed_id, ".agent/a", b"A2")
        assert await lab.contents(seed_id) == {".agent/a": "A" if another else "A2"}

    run(database, tmp_path, scenario)


# Crashes and purges.


def test_a_failing_swap_leaves_the_seed_as_it_was(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(db: Any, *, prefix: str, suffix: str, seed_id: str, new_blob_id: ObjectId) -> None:
        raise RuntimeError("cut")

    async def scenario(lab: Lab) -> None:
        seed_id = await lab.capture(await lab.host("one", _agent__a="A"))
        before = await lab.document(seed_id)
        with monkeypatch.context() as patched, pytest.raises(RuntimeError, match="cut"):
            patched.setattr(seeds, "update_seed_blob", fail)
            await lab.refresh(await lab.host("two", _agent__a="A2"), seed_id)
        assert await lab.document(seed_id) == before
        assert await lab.planted(seed_id) == {".agent/a": "A"}
        await lab.assert_only_listed_blobs()

    run(database, tmp_path, scenario)


@pytest.mark.parametrize("moment", ["before the base is read", "before the swap"])
def test_credentials_that_were_purged_do_not_come_back(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    async def scenario(lab: Lab) -> None:
        seed_id = await lab.capture(await lab.host("one", _agent__a="A"))

        async def purge() -> None:
            await seeds.purge_seed(lab.db, seed_id=seed_id, **NAMED)

        if moment == "before the base is read":
            _before_reading(monkeypatch, [purge])
        else:
            swap = seeds.update_seed_blob

            async def purged_first(*args: Any, **keywords: Any) -> None:
                await purge()
                await swap(*args, **keywords)

            monkeypatch.setattr(seeds, "update_seed_blob", purged_first)
        with pytest.raises(KeyError, match="unknown seed_id"):
            await lab.refresh(await lab.host("two", _agent__a="A2"), seed_id)
        assert await lab.blobs() == set()
        assert await lab.db[PREFIX + SUFFIX].count_documents({}) == 0
        await lab.assert_only_listed_blobs()

    run(database, tmp_path, scenario)


def test_a_blob_that_cannot_be_deleted_is_reported_and_deleted_later(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: Any) -> None:
        raise AutoReconnect("not now")

    async def scenario(lab: Lab) -> None:
        monkeypatch.setattr(blobs_module, "DELETE_PAUSE", 0.001)
        seed_id = await lab.capture(await lab.host("one", _agent__a="A"))
        with (
            monkeypatch.context() as patched,
            pytest.raises(seeds.SeedArchiveError, match="could not be deleted"),
        ):
            patched.setattr(AsyncIOMotorGridFSBucket, "delete", refuse)
            await seeds.purge_seed(lab.db, seed_id=seed_id, **NAMED)
        assert len(await lab.blobs()) == 1
        assert await seeds.sweep_blobs(lab.db, older_than=0, prefix=PREFIX, suffix=SUFFIX) == 1
        assert await lab.blobs() == set()
        await lab.assert_only_listed_blobs()

    run(database, tmp_path, scenario)


def test_deleting_a_blob_is_tried_again(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    delete = AsyncIOMotorGridFSBucket.delete
    failures = [AutoReconnect("once"), AutoReconnect("twice")]

    async def sometimes(bucket: Any, blob_id: ObjectId) -> None:
        if failures:
            raise failures.pop()
        await delete(bucket, blob_id)

    async def scenario(lab: Lab) -> None:
        monkeypatch.setattr(blobs_module, "DELETE_PAUSE", 0.001)
        seed_id = await lab.capture(await lab.host("one", _agent__a="A"))
        monkeypatch.setattr(AsyncIOMotorGridFSBucket, "delete", sometimes)
        await seeds.purge_seed(lab.db, seed_id=seed_id, **NAMED)
        assert await lab.blobs() == set()

    run(database, tmp_path, scenario)


def test_purging_a_seed_whose_blob_is_missing_succeeds(database: str, tmp_path: Path) -> None:
    async def scenario(lab: Lab) -> None:
        seed_id = await seeds.insert_seed(lab.db, blob_id=ObjectId(), manifest_version=1, **NAMED)
        await seeds.purge_seed(lab.db, seed_id=seed_id, **NAMED)
        with pytest.raises(KeyError, match="unknown seed_id"):
            await seeds.purge_seed(lab.db, seed_id=seed_id, **NAMED)
        await lab.assert_only_listed_blobs()

    run(database, tmp_path, scenario)


def test_a_fresh_write_is_not_swept(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another worker's write, in progress, looks like one that was cut off; only its age tells."""

    async def scenario(lab: Lab) -> None:
        seed_id = await lab.capture(await lab.host("one", _agent__a="A"))
        swap = seeds.update_seed_blob

        async def meanwhile(*args: Any, **keywords: Any) -> None:
            assert await seeds.sweep_blobs(lab.db, prefix=PREFIX, suffix=SUFFIX) == 0
            await swap(*args, **keywords)

        monkeypatch.setattr(seeds, "update_seed_blob", meanwhile)
        await lab.overwrite(seed_id, ".agent/a", b"A2")
        assert await lab.planted(seed_id) == {".agent/a": "A2"}

    run(database, tmp_path, scenario)


def test_what_the_published_package_stored_can_be_read(database: str, tmp_path: Path) -> None:
    """It encrypts an archive as a whole, however large; members may be called `./name`, and listed twice."""
    import io
    import tarfile

    async def scenario(lab: Lab) -> None:
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as archive:
            for name, content in (
                ("./.agent", None),
                ("./.agent/a", b"A" * 3_000_000),
                (".agent/a", b"last"),
                ("other", b"x"),
            ):
                member = tarfile.TarInfo(name)
                if content is None:
                    member.type, member.mode = tarfile.DIRTYPE, 0o755
                    archive.addfile(member)
                else:
                    member.size = len(content)
                    archive.addfile(member, io.BytesIO(content))
        blob_id = await AsyncIOMotorGridFSBucket(lab.db).upload_from_stream(
            "seed", scramble(packed.getvalue())
        )
        seed_id = await seeds.insert_seed(lab.db, blob_id=blob_id, manifest_version=1, **NAMED)
        assert await lab.planted(seed_id) == {".agent/a": "last"}

    run(database, tmp_path, scenario)
