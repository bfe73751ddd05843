"""Taking a seed from a home."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import IO, Any

from optio_agents import seeds
from optio_agents.seeds import archive
from optio_agents.seeds.blobs import CLEANUP_GRACE, NAME
from optio_agents.seeds.home import SeedHome
from optio_agents.seeds.manifest import SeedManifest
from optio_agents.seeds.parts import Cipher
from optio_agents.seeds.spool import spool
from optio_agents.seeds.threads import in_thread, to_its_end
from optio_agents.seeds.writes import recorded_blob, store_recorded


async def capture_seed(
    ctx: Any, host: Any, *, manifest: SeedManifest, suffix: str, encrypt: Cipher | None
) -> str:
    """Store the files of the home on `host` that `manifest` names as a new seed.

    Paths that do not exist are left out. Symlinks are stored as such, and those that lead out of the home are left out.

    Args:
        ctx: The process context of optio.
        host: Where the home is.
        manifest: What to take.
        suffix: The agent package's part of the collection's name.
        encrypt: Applied to what is stored; `None` stores it as it is. Called in a thread, for an archive of more than
            1 MiB once for each MiB.

    Returns:
        The seed's id.

    Raises:
        SeedArchiveError: the home is missing, a symlink leads out of it, or it is too large.
        Exception: an error of `encrypt` or the database. No part of the seed remains then.
    """
    async with spool() as packed:
        await pack_home(host, manifest, packed)
        async with recorded_blob(ctx._db, ctx._prefix, suffix) as blob_id:
            await store_recorded(ctx._db, blob_id, packed, encrypt=encrypt, metadata=blob_metadata(ctx))
            insert = seeds.insert_seed(
                ctx._db,
                prefix=ctx._prefix,
                suffix=suffix,
                blob_id=blob_id,
                manifest_version=manifest.version,
            )
            return await to_its_end(insert, grace=CLEANUP_GRACE)


async def pack_home(host: Any, manifest: SeedManifest, target: IO[bytes]) -> None:
    """Write the archive of the files of the home on `host` that `manifest` names."""
    async with AsyncExitStack() as stack:
        packs = [await stack.enter_async_context(spool()) for _ in manifest.paths]
        directories = await SeedHome(host, manifest).pack(packs)

        def compose(flag: Any) -> None:
            present = []
            for directory, pack in zip(directories, packs, strict=True):
                if pack.tell():
                    pack.seek(0)
                    present.append((directory, pack))
            archive.compose(present, target, flag.check)

        await in_thread(compose)


def blob_metadata(ctx: Any) -> dict[str, Any]:
    """The metadata of optio-core's own blobs, so that tools that list those find seeds, too."""
    return {"processId": str(ctx._process_oid), "prefix": ctx._prefix, "name": NAME}
