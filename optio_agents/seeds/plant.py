"""Starting a home from a seed."""

from __future__ import annotations

from typing import IO, Any

from optio_agents import seeds
from optio_agents.seeds import archive
from optio_agents.seeds.blobs import read_blob
from optio_agents.seeds.documents import existing_seed
from optio_agents.seeds.home import SeedHome
from optio_agents.seeds.manifest import SeedManifest
from optio_agents.seeds.parts import Cipher
from optio_agents.seeds.spool import spool
from optio_agents.seeds.threads import StopFlag, in_thread


async def plant_seed(
    db: Any,
    host: Any,
    *,
    prefix: str,
    seed_id: str,
    manifest: SeedManifest,
    suffix: str,
    decrypt: Cipher | None,
) -> None:
    """Write a seed into the home on `host`, over existing files, and await `manifest.consume_transform(host)`.

    Members that `manifest` does not name are left out; no file is deleted. An existing file with the name of a member
    is replaced, never written through.

    Raises:
        KeyError: there is no such seed.
        SeedArchiveError: the archive is damaged, or the home contains something that must not be replaced (a symlink to
            a directory).
        Exception: an error of `decrypt` or the transform.
    """
    document = await existing_seed(db, prefix, suffix, seed_id)
    async with spool() as stored, spool() as chosen:
        await read_blob(db, document["blobId"], stored, decrypt=decrypt)
        present = await in_thread(lambda flag: _choose(stored, chosen, manifest, flag))
        await SeedHome(host, manifest).plant(chosen, present)
    if manifest.consume_transform is not None:
        await manifest.consume_transform(host)


async def merge_seed(
    ctx: Any, host: Any, *, seed_id: str, manifest: SeedManifest, suffix: str, decrypt: Cipher | None
) -> None:
    """`plant_seed` with the database and prefix of a process context."""
    await seeds.plant_seed(
        ctx._db,
        host,
        prefix=ctx._prefix,
        seed_id=seed_id,
        manifest=manifest,
        suffix=suffix,
        decrypt=decrypt,
    )


def _choose(stored: IO[bytes], chosen: IO[bytes], manifest: SeedManifest, flag: StopFlag) -> set[str]:
    """Copy the members that the manifest covers; returns which of its paths they belong to."""
    present: set[str] = set()

    def keep(name: str) -> bool:
        present.update(path for path in manifest.paths if name == path or name.startswith(f"{path}/"))
        return manifest.covers(name)

    stored.seek(0)
    archive.select(stored, chosen, keep, flag.check)
    return present
