"""Capturing a seed and planting it: what it holds, and what the host's agent cannot do to it."""

from __future__ import annotations

import asyncio
import io
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest

from optio_agents import seeds
from optio_agents.seeds import home as home_module
from tests.seeds.lab import MANIFEST, Lab, files_of, home_of, left_beside, run, scramble

pytestmark = pytest.mark.servers

CREDENTIALS = {"_config__agent.json": "token", "_agent__a": "A", "_agent__deep__b": "B", "notes": "private"}
SEED_FILES = {".config/agent.json": "token", ".agent/a": "A", ".agent/deep/b": "B"}


def test_only_what_the_manifest_names_is_in_the_seed(database: str, tmp_path: Path) -> None:
    async def scenario(lab: Lab) -> None:
        seed_id = await lab.capture(await lab.host("one", **CREDENTIALS))
        document = await lab.document(seed_id)
        assert set(document) == {"_id", "createdAt", "blobId", "manifestVersion"}
        stored = await lab.blob(document["blobId"])
        assert b"token" not in stored
        with tarfile.open(fileobj=io.BytesIO(scramble(stored))) as archive:
            assert {each.name for each in archive if each.isreg()} == set(SEED_FILES)
        assert await lab.planted(seed_id) == SEED_FILES
        await lab.assert_only_listed_blobs()

    run(database, tmp_path, scenario)


def test_paths_that_are_missing_make_an_empty_seed(database: str, tmp_path: Path) -> None:
    async def scenario(lab: Lab) -> None:
        seed_id = await lab.capture(await lab.host("one", notes="private"))
        assert await lab.planted(seed_id) == {}

    run(database, tmp_path, scenario)


def test_a_missing_home_is_an_error(database: str, tmp_path: Path) -> None:
    async def scenario(lab: Lab) -> None:
        host = await lab.host("one")
        home_of(host).rmdir()
        with pytest.raises(seeds.SeedArchiveError, match="home directory is missing"):
            await lab.capture(host)
        assert left_beside(host) == []
        await lab.assert_only_listed_blobs()

    run(database, tmp_path, scenario)


def test_planting_keeps_other_files_and_calls_the_transform(database: str, tmp_path: Path) -> None:
    async def scenario(lab: Lab) -> None:
        seed_id = await lab.capture(await lab.host("one", **CREDENTIALS))
        other = await lab.host("two", _agent__a="old", _agent__mine="kept", other="kept")
        os.chmod(home_of(other) / ".agent", 0o700)
        seen: list[dict[str, str]] = []

        async def transform(host: Any) -> None:
            seen.append(files_of(host))

        manifest = seeds.SeedManifest("home", MANIFEST.include, consume_transform=transform)
        await lab.plant(other, seed_id, manifest=manifest)
        assert seen == [{**SEED_FILES, ".agent/mine": "kept", "other": "kept"}]
        assert (home_of(other) / ".agent").stat().st_mode & 0o777 == 0o700
        assert left_beside(other) == []

    run(database, tmp_path, scenario)


def test_a_smaller_manifest_plants_less(database: str, tmp_path: Path) -> None:
    async def scenario(lab: Lab) -> None:
        seed_id = await lab.capture(await lab.host("one", **CREDENTIALS))
        smaller = seeds.SeedManifest("home", [".agent/deep", ".agentless"])
        assert await lab.planted(seed_id, manifest=smaller) == {".agent/deep/b": "B"}

    run(database, tmp_path, scenario)


def test_modes_of_files_stay(database: str, tmp_path: Path) -> None:
    async def scenario(lab: Lab) -> None:
        host = await lab.host("one", **CREDENTIALS)
        (home_of(host) / ".config/agent.json").chmod(0o600)
        (home_of(host) / ".agent/a").chmod(0o755)
        seed_id = await lab.capture(host)
        other = await lab.host("two")
        await lab.plant(other, seed_id)
        assert (home_of(other) / ".config/agent.json").stat().st_mode & 0o777 == 0o600
        assert (home_of(other) / ".agent/a").stat().st_mode & 0o777 == 0o755

    run(database, tmp_path, scenario)


def test_the_wrong_key_is_its_own_error(database: str, tmp_path: Path) -> None:
    def refuse(_: bytes) -> bytes:
        raise PermissionError("wrong key")

    async def scenario(lab: Lab) -> None:
        seed_id = await lab.capture(await lab.host("one", **CREDENTIALS))
        other = await lab.host("two")
        with pytest.raises(PermissionError, match="wrong key"):
            await lab.plant(other, seed_id, decrypt=refuse)
        with pytest.raises(seeds.SeedArchiveError, match="cannot be read"):
            await lab.plant(other, seed_id, decrypt=None)
        with pytest.raises(KeyError, match="unknown seed_id: 'nonsense'"):
            await lab.plant(other, "nonsense")
        assert files_of(other) == {}

    run(database, tmp_path, scenario)


# What an agent may plant.


@pytest.mark.parametrize("place", [".config", ".agent", ""], ids=["a parent", "a member", "the home"])
def test_capture_follows_no_symlink_out_of_the_home(database: str, tmp_path: Path, place: str) -> None:
    async def scenario(lab: Lab) -> None:
        secrets = tmp_path / "secrets"
        for name in ("agent.json", "a", ".agent/a", ".config/agent.json"):
            (secrets / name).parent.mkdir(parents=True, exist_ok=True)
            (secrets / name).write_text("the worker's own")
        host = await lab.host("one")
        planted = home_of(host) / place
        if place == "":
            planted.rmdir()
        planted.symlink_to(secrets)
        if place == ".agent":  # a symlink where a member should be is captured as such, or left out
            assert await lab.planted(await lab.capture(host)) == {}
        else:
            with pytest.raises(seeds.SeedArchiveError, match="symlink"):
                await lab.capture(host)
        assert left_beside(host) == []

    run(database, tmp_path, scenario)


def test_a_symlink_that_comes_right_after_the_check_is_noticed(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = 'if [ -L "./$name" ]'
    assert check in home_module._PRELUDE
    monkeypatch.setattr(home_module, "_PRELUDE", home_module._PRELUDE.replace(check, "if false"))

    async def scenario(lab: Lab) -> None:
        seed_id = await lab.capture(await lab.host("one", **CREDENTIALS))
        (tmp_path / "outside").mkdir()
        (tmp_path / "outside/agent.json").write_text("the worker's own")
        host = await lab.host("two")
        (home_of(host) / ".config").symlink_to(tmp_path / "outside")
        for call in (lab.capture(host), lab.plant(host, seed_id)):
            with pytest.raises(seeds.SeedArchiveError, match="leads elsewhere"):
                await call
        assert (tmp_path / "outside/agent.json").read_text() == "the worker's own"

    run(database, tmp_path, scenario)


@pytest.mark.parametrize("place", [".config", ".agent", ".agent/deep", ""])
def test_planting_writes_through_no_symlink(database: str, tmp_path: Path, place: str) -> None:
    async def scenario(lab: Lab) -> None:
        seed_id = await lab.capture(await lab.host("one", **CREDENTIALS))
        outside = tmp_path / "outside"
        outside.mkdir()
        host = await lab.host("two")
        planted = home_of(host) / place
        if place == "":
            planted.rmdir()
        planted.parent.mkdir(exist_ok=True)
        planted.symlink_to(outside)
        with pytest.raises(seeds.SeedArchiveError, match=r"symlink|cannot overwrite"):
            await lab.plant(host, seed_id)
        assert list(outside.iterdir()) == []
        assert left_beside(host) == []

    run(database, tmp_path, scenario)


def test_a_file_that_is_a_symlink_is_replaced(database: str, tmp_path: Path) -> None:
    async def scenario(lab: Lab) -> None:
        seed_id = await lab.capture(await lab.host("one", **CREDENTIALS))
        outside = tmp_path / "outside"
        outside.write_text("untouched")
        host = await lab.host("two")
        for name in (".config/agent.json", ".agent/a"):
            (home_of(host) / name).parent.mkdir()
            (home_of(host) / name).symlink_to(outside)
        await lab.plant(host, seed_id)
        assert files_of(host) == SEED_FILES
        assert outside.read_text() == "untouched"

    run(database, tmp_path, scenario)


def test_links_within_the_home_are_kept_and_others_are_not(database: str, tmp_path: Path) -> None:
    async def scenario(lab: Lab) -> None:
        host = await lab.host("one", **CREDENTIALS)
        (home_of(host) / ".agent/within").symlink_to("deep/b")
        (home_of(host) / ".agent/absolute").symlink_to("/etc/passwd")
        (home_of(host) / ".agent/above").symlink_to("../../../secret")
        os.mkfifo(home_of(host) / ".agent/fifo")
        seed_id = await lab.capture(host)
        other = await lab.host("two")
        await lab.plant(other, seed_id)
        assert sorted(path.name for path in (home_of(other) / ".agent").iterdir()) == ["a", "deep", "within"]
        assert os.readlink(home_of(other) / ".agent/within") == "deep/b"

    run(database, tmp_path, scenario)


def test_credentials_are_never_in_the_workdir_nor_readable_by_others(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: set[tuple[bool, int]] = set()

    async def scenario(lab: Lab) -> None:
        host = await lab.host("one", **CREDENTIALS)

        def look() -> None:
            for path in Path(host.taskdir).iterdir():
                if path.name != "workdir":
                    mode = path.stat().st_mode & 0o777
                    seen.add((path.name.startswith(home_module.STAGE_PREFIX), mode))
            assert {each.name for each in Path(host.workdir).iterdir()} == {"home"}

        original = home_module._Stage._command

        async def looking(stage: Any, command: str) -> Any:
            look()
            result = await original(stage, command)
            look()
            return result

        monkeypatch.setattr(home_module._Stage, "_command", looking)
        seed_id = await lab.capture(host)
        await lab.plant(host, seed_id)
        assert seen == {(True, 0o700)}
        assert left_beside(host) == []

    run(database, tmp_path, scenario)


def test_a_name_that_an_agent_prepared_is_not_used(database: str, tmp_path: Path) -> None:
    """The published package's fixed names in the workdir could be planted as symlinks."""

    async def scenario(lab: Lab) -> None:
        victim = tmp_path / "victim"
        victim.write_text("untouched")
        host = await lab.host("one", **CREDENTIALS)
        for name in (".optio-seed-capture.tar.gz", ".optio-seed-restore.tar.gz"):
            (Path(host.workdir) / name).symlink_to(victim)
        seed_id = await lab.capture(host)
        await lab.plant(host, seed_id)
        assert victim.read_text() == "untouched"

    run(database, tmp_path, scenario)


def test_a_failing_insert_leaves_no_blob(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: Any, **__: Any) -> str:
        raise RuntimeError("no primary")

    async def scenario(lab: Lab) -> None:
        host = await lab.host("one", **CREDENTIALS)
        monkeypatch.setattr(seeds, "insert_seed", fail)
        with pytest.raises(RuntimeError, match="no primary"):
            await lab.capture(host)
        await lab.assert_only_listed_blobs()

    run(database, tmp_path, scenario)


def test_the_host_hands_over_too_little(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(lab: Lab) -> None:
        host = await lab.host("one", **CREDENTIALS)
        original = home_module._Stage.run

        async def run_without_output(stage: Any, script: str, failure: str) -> str:
            return "" if "base64" in script else await original(stage, script, failure)

        monkeypatch.setattr(home_module._Stage, "run", run_without_output)
        with pytest.raises(seeds.SeedArchiveError, match="less than it had announced"):
            await lab.capture(host)

    run(database, tmp_path, scenario)


def test_a_module_function_that_a_test_replaces_is_the_one_that_is_called(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[str] = []

    async def plant(*_: Any, **keywords: Any) -> None:
        called.append(keywords["seed_id"])

    async def scenario(lab: Lab) -> None:
        monkeypatch.setattr(seeds, "plant_seed", plant)
        await lab.plant(await lab.host("one"), "an id")

    run(database, tmp_path, scenario)
    assert called == ["an id"]
    assert asyncio.iscoroutinefunction(seeds.merge_seed)
