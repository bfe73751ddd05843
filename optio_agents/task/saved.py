"""The workdir of a run that did not reach DONE, kept in the database until the task is resumed or done.

The blob is a file in optio-core's GridFS bucket, tagged by `ctx.store_blob` like every blob of the process.
The newest one counts; older ones go only when it is complete, so that a worker that dies meanwhile loses
nothing.
"""

from __future__ import annotations

from typing import Any

BLOB = "agent-workdir"
"""The blob's name."""

INTERRUPTED_BLOB = "agent-workdir-interrupted"
"""The name of the blob with the workdir of an interrupted run in whose place a fresh one was launched."""

_PIECE = 256 * 1024


async def save(ctx: Any, host: Any) -> None:
    """Keep the host's workdir, and say in the database that the task can be resumed."""
    stored = await _store(ctx, host, BLOB)
    await ctx.mark_has_saved_state()
    await remove_blobs(ctx, BLOB, but=stored)


async def set_aside(ctx: Any, host: Any) -> None:
    """Keep the host's workdir for the user: no run resumes from it."""
    stored = await _store(ctx, host, INTERRUPTED_BLOB)
    await remove_blobs(ctx, INTERRUPTED_BLOB, but=stored)


async def _store(ctx: Any, host: Any, name: str) -> Any:
    async with ctx.store_blob(name) as blob:
        async for piece in host.archive_workdir(None):
            await blob.write(piece)
    return blob.file_id


async def restore(ctx: Any, host: Any) -> bool:
    """Fill the host's (fresh) workdir with what was kept. Returns False when nothing was."""
    newest = next(iter(await blobs_of(ctx, BLOB)), None)
    if newest is None:
        return False

    async def pieces() -> Any:
        async with ctx.load_blob(newest) as blob:
            while piece := await blob.read(_PIECE):
                yield piece

    await host.restore_workdir(pieces())
    return True


async def forget(ctx: Any, *names: str) -> None:
    """The task is done: there is nothing to resume, and the blobs of these names are not needed either."""
    await ctx.clear_has_saved_state()
    for name in (BLOB, *names):
        await remove_blobs(ctx, name)


async def write_only(ctx: Any, name: str, content: bytes) -> None:
    """Keep a small blob in place of the one of that name that was kept before."""
    async with ctx.store_blob(name) as blob:
        await blob.write(content)
    await remove_blobs(ctx, name, but=blob.file_id)


async def read_newest(ctx: Any, name: str) -> bytes | None:
    """The newest blob of that name; `None` when there is none."""
    newest = next(iter(await blobs_of(ctx, name)), None)
    if newest is None:
        return None
    async with ctx.load_blob(newest) as blob:
        content: bytes = await blob.read()
    return content


async def remove_blobs(ctx: Any, name: str, *, but: Any = None) -> None:
    """Delete the blobs of that name that this process has kept, all but one."""
    for blob in await blobs_of(ctx, name):
        if blob != but:
            await ctx.delete_blob(blob)


async def blobs_of(ctx: Any, name: str) -> list[Any]:
    """Ids of the blobs of that name that this process has kept, newest first."""
    # The context of a read-only hook does not tell the id of the record.
    oid = getattr(ctx, "_process_oid", None) or await _process_oid(ctx)
    query = {"metadata.processId": str(oid), "metadata.name": name}
    found = ctx._db["fs.files"].find(query, {"_id": 1}).sort([("uploadDate", -1), ("_id", -1)])
    return [each["_id"] async for each in found]


async def _process_oid(ctx: Any) -> Any:
    row = await ctx._db[f"{ctx._prefix}_processes"].find_one({"processId": ctx.process_id}, {"_id": 1})
    return None if row is None else row["_id"]
