"""Keeping a seed's credentials current.

Agents renew their tokens while they work. A refresh merges the present ones into the stored archive, and swaps the
archive only if no other writer has replaced it meanwhile. Otherwise it merges again, into the new archive. No update is
lost.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import IO, Any

from bson import ObjectId
from gridfs.errors import CorruptGridFile, NoFile

from optio_agents import seeds
from optio_agents.seeds import archive
from optio_agents.seeds.blobs import CLEANUP_GRACE, NAME, read_blob
from optio_agents.seeds.capture import blob_metadata, pack_home
from optio_agents.seeds.documents import existing_seed
from optio_agents.seeds.errors import SeedArchiveError, SeedChanged
from optio_agents.seeds.leases import check_lease, holder_here
from optio_agents.seeds.manifest import SeedManifest, path_of
from optio_agents.seeds.parts import Cipher
from optio_agents.seeds.spool import spool
from optio_agents.seeds.threads import StopFlag, in_thread, to_its_end
from optio_agents.seeds.writes import recorded_blob, store_recorded

ATTEMPTS = 10
"""How often a merge is done again because another writer was faster."""


async def refresh_seed(
    ctx: Any,
    host: Any,
    *,
    seed_id: str,
    manifest: SeedManifest,
    suffix: str,
    encrypt: Cipher | None,
    decrypt: Cipher | None,
    holder: str | None = None,
) -> None:
    """Replace the seed's files by the present ones in the home on `host`. Files that the home lacks are kept.

    Args:
        ctx, host, manifest, suffix, encrypt, decrypt: See `capture_seed` and `plant_seed`.
        seed_id: The seed. It keeps its id.
        holder: Whose lease must be valid. By default that of this task, of a task that started it, or of another task
            of this process. If none has one, the lease is not checked.

    Raises:
        KeyError: there is no such seed (any more).
        LeaseLost: another holder has the lease by now.
        SeedArchiveError: see `capture_seed`.
    """
    await existing_seed(ctx._db, ctx._prefix, suffix, seed_id)
    swap = _Swap(ctx._db, ctx._prefix, suffix, seed_id, holder, encrypt, decrypt, blob_metadata(ctx))
    async with spool() as overlay:
        await pack_home(host, manifest, overlay)
        await swap.merge(overlay)


async def overwrite_seed_member(
    db: Any,
    *,
    prefix: str,
    suffix: str,
    seed_id: str,
    member_path: str,
    content: bytes,
    encrypt: Cipher | None,
    decrypt: Cipher | None,
    holder: str | None = None,
) -> None:
    """Replace (or add) one file of the seed, without a host.

    Args:
        member_path: The file, relative to the home.
        content: Its new content.
        holder: See `refresh_seed`, also for what is raised.
    """
    name = path_of(member_path, "member_path")
    if not name:
        raise ValueError("member_path: name a file")
    swap = _Swap(
        db,
        prefix,
        suffix,
        seed_id,
        holder,
        encrypt,
        decrypt,
        {"processId": None, "prefix": prefix, "name": NAME},
    )
    async with spool() as overlay:
        await in_thread(lambda _: archive.single(name, content, overlay))
        await swap.merge(overlay)


class _Swap:
    """Replaces one seed's archive by a merged one."""

    def __init__(
        self,
        db: Any,
        prefix: str,
        suffix: str,
        seed_id: str,
        holder: str | None,
        encrypt: Cipher | None,
        decrypt: Cipher | None,
        metadata: dict[str, Any],
    ) -> None:
        self._db = db
        self._prefix = prefix
        self._suffix = suffix
        self._seed_id = seed_id
        self._holder = holder if holder is not None else holder_here(db, prefix, suffix, seed_id)
        self._encrypt = encrypt
        self._decrypt = decrypt
        self._metadata = metadata

    async def merge(self, overlay: IO[bytes]) -> None:
        """Merge `overlay` into the archive that the seed has at the time of the swap."""
        for _ in range(ATTEMPTS):
            document = await existing_seed(self._db, self._prefix, self._suffix, self._seed_id)
            check_lease(document, self._holder)
            try:
                await self._once(document["blobId"], overlay)
            except SeedChanged:
                continue
            return
        raise SeedArchiveError(
            f"seed {self._seed_id} was replaced {ATTEMPTS} times while it was being merged"
        )

    async def _once(self, base_id: ObjectId, overlay: IO[bytes]) -> None:
        async with spool() as base, spool() as merged:
            await self._unless_changed(
                base_id, lambda: read_blob(self._db, base_id, base, decrypt=self._decrypt)
            )

            def merge(flag: StopFlag) -> None:
                base.seek(0)
                overlay.seek(0)
                archive.merge(base, overlay, merged, flag.check)

            await in_thread(merge)
            recorded = recorded_blob(
                self._db, self._prefix, self._suffix, replaces=base_id, holder=self._holder
            )
            async with recorded as blob_id:
                await store_recorded(
                    self._db, blob_id, merged, encrypt=self._encrypt, metadata=self._metadata
                )
                update = seeds.update_seed_blob(
                    self._db,
                    prefix=self._prefix,
                    suffix=self._suffix,
                    seed_id=self._seed_id,
                    new_blob_id=blob_id,
                )
                await to_its_end(update, grace=CLEANUP_GRACE)

    async def _unless_changed(self, base_id: ObjectId, read: Callable[[], Awaitable[None]]) -> None:
        """Read the base. If it is gone because it was replaced, that is no database error."""
        try:
            await read()
        except (NoFile, CorruptGridFile) as error:
            document = await existing_seed(self._db, self._prefix, self._suffix, self._seed_id)
            if document["blobId"] != base_id:
                raise SeedChanged(self._seed_id) from error
            raise
