r"""A home on a host: packing the files of a seed, and planting them.

The agent controls the home, so its content may be hostile: a symlink in place of a directory would make the host read
or write elsewhere, outside of the agent's sandbox. So a script never uses a path that leads through the home. It enters
the home directory by directory, and after each set of steps compares the current directory (`pwd -P`) with the expected
one. From there it uses plain directory entries only. Temporary files are in a directory of our own next to the workdir,
with mode 0700. The agent's sandbox does not include it, and a snapshot of the workdir does not contain it.

Works on every host with `run_command`, `put_file_to_host`, `/bin/sh`, `tar`, `cp`, `dd` and `base64`.
"""

from __future__ import annotations

import base64
import posixpath
import secrets
import shlex
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import IO, Any

from optio_agents.seeds.errors import SeedArchiveError
from optio_agents.seeds.manifest import SeedManifest
from optio_agents.seeds.threads import COMMAND_GRACE, in_thread, to_its_end

STAGE_PREFIX = ".optio-seed-"
BLOCK = 1024 * 1024
FETCH_BLOCKS = 2
"""Blocks that one command brings from the host."""

PUT_BLOCK = 64 * 1024
"""Bytes handed to the host at once: a local one writes them in the event loop."""

_PRELUDE = """
fail() { printf '%s\\n' "$*" >&2; exit 65; }
leave() { cd -P -- "$base" || fail "$base is gone"; }
enter() {  # where we have to be, and the directories that lead there from $base
  there=$1; shift; leave
  for name do
    if [ -L "./$name" ]; then fail "$(pwd -P)/$name is a symlink: it is not followed"; fi
    if [ "$make" ] && [ ! -e "./$name" ]; then mkdir -- "./$name" || fail "cannot make $(pwd -P)/$name"; fi
    if [ ! -d "./$name" ]; then return 1; fi
    cd -P -- "./$name" || fail "cannot enter $(pwd -P)/$name"
  done
  [ "$(pwd -P)" = "$base$there" ] || fail "$base$there has been moved or leads elsewhere"
}
umask 022
base=$(cd -P -- {parent} && pwd -P) || fail 'the directory of the workdir is missing'
[ "$base" != / ] || base=
stage=$base/{stage}
"""


class SeedHome:
    """The home that `manifest` names, on `host`."""

    def __init__(self, host: Any, manifest: SeedManifest) -> None:
        self._host = host
        self._manifest = manifest
        parent, name = posixpath.split(posixpath.normpath(host.workdir))
        self._parent = parent
        self._home = (name, *manifest.home)

    async def pack(self, packs: Sequence[IO[bytes]]) -> list[str]:
        """Write each included path that exists to one of `packs`, as gzipped tar.

        Args:
            packs: One file for each of `manifest.paths`; those of missing paths stay empty.

        Returns:
            For each pack, the directory in the home to which the names in it are relative.

        Raises:
            SeedArchiveError: the home is missing, a symlink is in the way, or tar failed.
        """
        directories = [posixpath.dirname(path) for path in self._manifest.paths]
        async with self._stage() as stage:
            sizes = await stage.run(self._pack_script(), "could not be packed")
            for line in sizes.splitlines():
                number, size = (int(each) for each in line.split())
                await stage.fetch(str(number), size, packs[number])
        return directories

    async def plant(self, archive: IO[bytes], present: Iterable[str]) -> None:
        """Write the members of an archive into the home, over existing files.

        Args:
            archive: A gzipped tar whose members are all covered by the manifest.
            present: The `manifest.paths` for which it has members.

        Raises:
            SeedArchiveError: a symlink is in the way, or tar or cp failed.
        """
        async with self._stage() as stage:
            await stage.put("archive", archive)
            await stage.run(self._plant_script(sorted(present)), "could not be planted")

    def _pack_script(self) -> str:
        """Prints the number and the size of each pack."""
        lines = ["make=", f"{_entered(self._home)} || fail 'the home directory is missing'"]
        for number, path in enumerate(self._manifest.paths):
            directory, leaf = posixpath.split(path)
            where = (*self._home, *(directory.split("/") if directory else ()))
            entry = shlex.quote(f"./{leaf}")
            lines.append(
                f"if {_entered(where)} && {{ [ -e {entry} ] || [ -L {entry} ]; }}; then\n"
                f'  (umask 077; tar --hard-dereference -czf "$stage/{number}" -- {entry}) || '
                # 1: a file changed while it was read, as an agent's may at any time
                f'[ $? -eq 1 ] || fail "tar failed"\n'
                f'  echo {number} "$(wc -c < "$stage/{number}")"\n'
                "fi"
            )
        return "\n".join(lines)

    def _plant_script(self, present: Sequence[str]) -> str:
        lines = [
            "make=1",
            'mkdir -- "$stage/tree" && tar -xzof "$stage/archive" -C "$stage/tree" || fail "tar failed"',
            _entered(self._home),
        ]
        for path in present:
            directory, leaf = posixpath.split(path)
            where = (*self._home, *(directory.split("/") if directory else ()))
            source = f'"$stage/tree"/{shlex.quote(path)}'
            lines.append(
                f"{_entered(where)} || fail 'a file is in the way of a directory'\n"
                f'cp -dR --preserve=timestamps --remove-destination -- {source} . || fail "cp failed: {leaf!r}"'
            )
        return "\n".join(lines)

    @asynccontextmanager
    async def _stage(self) -> AsyncIterator[_Stage]:
        stage = _Stage(self._host, self._parent, STAGE_PREFIX + secrets.token_hex(8))
        try:
            await stage.run('mkdir -m 700 -- "$stage" || fail "cannot make $stage"', "could not be staged")
            yield stage
        finally:
            await to_its_end(stage.remove(), grace=COMMAND_GRACE)


class _Stage:
    """A directory of our own on the host, next to the workdir."""

    def __init__(self, host: Any, parent: str, name: str) -> None:
        self._host = host
        self._name = name
        self._path = posixpath.join(parent, name)
        self._prelude = _PRELUDE.replace("{parent}", shlex.quote(parent or "/")).replace("{stage}", name)

    async def run(self, script: str, failure: str) -> str:
        """Run a script that may use `$stage` and `enter`; returns what it printed.

        Raises:
            SeedArchiveError: it failed.
        """
        result = await self._command(f"sh -c {shlex.quote(self._prelude + script)}")
        if result.exit_code != 0:
            detail = (result.stderr or result.stdout).strip()[-1000:]
            raise SeedArchiveError(f"the seed {failure} (exit {result.exit_code}): {detail}")
        return str(result.stdout)

    async def fetch(self, name: str, size: int, target: IO[bytes]) -> None:
        """Copy a whole file from the stage, in pieces."""
        fetched = 0
        while fetched < size:
            skip = fetched // BLOCK
            text = await self.run(
                f'dd if="$stage/{name}" bs={BLOCK} skip={skip} count={FETCH_BLOCKS} 2>/dev/null | base64',
                "could not be fetched",
            )
            received = await in_thread(lambda _: target.write(base64.b64decode(text)))  # noqa: B023 - awaited here
            if received == 0:
                raise SeedArchiveError(
                    "the seed could not be fetched: the host sent less than it had announced"
                )
            fetched += received

    async def put(self, name: str, source: IO[bytes]) -> None:
        """Copy a whole file to the stage."""

        async def blocks() -> AsyncIterator[bytes]:
            await in_thread(lambda _: source.seek(0))
            while block := await in_thread(lambda _: source.read(PUT_BLOCK)):
                yield block

        await self._host.put_file_to_host(blocks(), posixpath.join(self._path, name))

    async def remove(self) -> None:
        """Delete the stage and everything in it."""
        await self._host.run_command(f"rm -rf -- {shlex.quote(self._path)}")

    async def _command(self, command: str) -> Any:
        # Cancelled, a host's run_command leaves its process running: let it end, or it would write to a removed stage.
        return await to_its_end(self._host.run_command(command), grace=COMMAND_GRACE)


def _entered(components: Sequence[str]) -> str:
    """A shell command that enters a directory beneath `$base`; false if it is missing."""
    there = "".join(f"/{each}" for each in components)
    return " ".join(["enter", shlex.quote(there), *(shlex.quote(each) for each in components)])
