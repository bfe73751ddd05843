"""A database, a context and homes on local hosts, to try seeds with."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from bson import ObjectId
from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorGridFSBucket
from optio_core.context import ProcessContext
from optio_host.host import LocalHost

from optio_agents import seeds
from optio_agents.seeds import archive
from optio_agents.seeds.blobs import read_blob, write_blob

T = TypeVar("T")

PREFIX = "lab"
SUFFIX = "_seeds"
NAMED = {"prefix": PREFIX, "suffix": SUFFIX}
MANIFEST = seeds.SeedManifest(home_subdir="home", include=[".config/agent.json", ".agent"])
HANG_GUARD = 120


def scramble(data: bytes) -> bytes:
    """A cipher whose text has nothing of the plain one; its own inverse."""
    return bytes(each ^ 0x5A for each in data)


class Lab:
    """One database, and hosts beneath `root`."""

    def __init__(self, db: Any, root: Path) -> None:
        self.db = db
        self.root = root
        self.ctx = ProcessContext(
            process_oid=ObjectId(),
            process_id="lab",
            root_oid=ObjectId(),
            depth=0,
            params={},
            services={},
            db=db,
            prefix=PREFIX,
            cancellation_flag=asyncio.Event(),
            child_counter={},
        )

    async def host(self, name: str, **files: str) -> LocalHost:
        """A host whose home has these files (`__` in a name is a slash, a leading `_` a dot)."""
        host = LocalHost(str(self.root / name))
        await host.setup_workdir()
        home_of(host).mkdir()
        for key, content in files.items():
            path = home_of(host) / ("." + key[1:] if key.startswith("_") else key).replace("__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        return host

    async def capture(self, host: LocalHost, **changes: Any) -> str:
        return await seeds.capture_seed(
            self.ctx, host, **{"manifest": MANIFEST, "suffix": SUFFIX, "encrypt": scramble, **changes}
        )

    async def refresh(self, host: LocalHost, seed_id: str, **changes: Any) -> None:
        keywords = {
            "manifest": MANIFEST,
            "suffix": SUFFIX,
            "encrypt": scramble,
            "decrypt": scramble,
            **changes,
        }
        await seeds.refresh_seed(self.ctx, host, seed_id=seed_id, **keywords)

    async def plant(self, host: LocalHost, seed_id: str, **changes: Any) -> None:
        keywords = {"manifest": MANIFEST, "suffix": SUFFIX, "decrypt": scramble, **changes}
        await seeds.merge_seed(self.ctx, host, seed_id=seed_id, **keywords)

    async def overwrite(self, seed_id: str, path: str, content: bytes, **changes: Any) -> None:
        keywords = {"encrypt": scramble, "decrypt": scramble, **NAMED, **changes}
        await seeds.overwrite_seed_member(
            self.db, seed_id=seed_id, member_path=path, content=content, **keywords
        )

    async def planted(self, seed_id: str, name: str = "check", **changes: Any) -> dict[str, str]:
        """The files that planting the seed into an empty home gives."""
        host = await self.host(name)
        await self.plant(host, seed_id, **changes)
        return files_of(host)

    async def contents(self, seed_id: str) -> dict[str, str]:
        """The files of the stored archive, read without a host."""
        target = io.BytesIO()
        await read_blob(self.db, (await self.document(seed_id))["blobId"], target, decrypt=scramble)
        target.seek(0)
        found = archive.members(target, lambda: None)
        return {member.name: content.read().decode() for member, content in found if content is not None}

    async def make(self, path: str, content: str) -> str:
        """A seed with one file, made without a host."""
        blob_id, target = ObjectId(), io.BytesIO()
        archive.single(path, content.encode(), target)
        target.seek(0)
        await write_blob(self.db, blob_id, target, encrypt=scramble, metadata={})
        return await seeds.insert_seed(self.db, blob_id=blob_id, manifest_version=1, **NAMED)

    async def document(self, seed_id: str) -> dict[str, Any]:
        found = await seeds.load_seed(self.db, seed_id=seed_id, **NAMED)
        assert found is not None
        return found

    async def blobs(self) -> set[ObjectId]:
        """All blobs of which there is a file or a chunk."""
        files = await self.db["fs.files"].distinct("_id")
        return {*files, *await self.db["fs.chunks"].distinct("files_id")}

    async def blob(self, blob_id: ObjectId) -> bytes:
        stream = await AsyncIOMotorGridFSBucket(self.db).open_download_stream(blob_id)
        return bytes(await stream.read())

    async def assert_only_listed_blobs(self) -> None:
        """Every blob belongs to a seed, every seed has its blob, and no write is on record."""
        listed = await self.db[PREFIX + SUFFIX].distinct("blobId")
        assert await self.blobs() == set(listed)
        assert await self.db[f"{PREFIX}{SUFFIX}_writes"].count_documents({}) == 0

    async def pooled(self, host: LocalHost, pool: str = "pool") -> str:
        seed_id = await self.capture(host)
        await seeds.assign_to_pool(self.db, seed_id=seed_id, poolKey=pool, **NAMED)
        return seed_id

    async def expire(self, seed_id: str) -> None:
        """Let the seed's lease have expired a second ago, by the server's clock."""
        ago = {"$subtract": ["$$NOW", 1000]}
        await self.db[PREFIX + SUFFIX].update_one(
            {"_id": ObjectId(seed_id)}, [{"$set": {"lease.expiresAt": ago}}]
        )


def home_of(host: LocalHost) -> Path:
    return Path(host.workdir) / "home"


def files_of(host: LocalHost) -> dict[str, str]:
    """The regular files of a home."""
    home = home_of(host)
    return {
        str(path.relative_to(home)): path.read_text()
        for path in sorted(home.rglob("*"))
        if path.is_file() and not path.is_symlink()
    }


def left_beside(host: LocalHost) -> list[str]:
    """What lies in the task's directory besides the workdir."""
    return [path.name for path in Path(host.taskdir).iterdir() if path.name != "workdir"]


@asynccontextmanager
async def open_lab(url: str, root: Path) -> AsyncIterator[Lab]:
    client: Any = AsyncIOMotorClient(url)
    try:
        yield Lab(client.get_default_database(), root)
    finally:
        client.close()


def run(url: str, root: Path, scenario: Callable[[Lab], Awaitable[T]]) -> T:
    """Run a scenario in an asyncio loop."""

    async def whole() -> T:
        async with asyncio.timeout(HANG_GUARD), open_lab(url, root) as lab:
            return await scenario(lab)

    return asyncio.run(whole())
