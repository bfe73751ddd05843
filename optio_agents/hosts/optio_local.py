"""optio-host's `LocalHost` as a session's host: its files are on this machine and are read directly."""

from __future__ import annotations

import os
from typing import Any

import trio

from optio_agents.bridge.boundary import Boundary
from optio_agents.hosts.files.deadline import REMOVAL, DeadlineThreads
from optio_agents.hosts.files.file_systems import is_missing
from optio_agents.hosts.files.removal import remove_tree
from optio_agents.hosts.local_files import LocalFiles


class OptioLocalHost(LocalFiles):
    """Implements `hosts.base.SessionHost`. Only `setup_workdir` is left to the wrapped host."""

    def __init__(self, host: Any, boundary: Boundary) -> None:
        super().__init__(os.path.abspath(host.workdir))
        self._host = host
        self._boundary = boundary

    @property
    def workdir(self) -> str:
        """See `hosts.base.SessionHost.workdir`."""
        return self.directory.path

    async def setup_workdir(self) -> None:
        """See `hosts.base.SessionHost.setup_workdir`.

        What is in the workdir is removed here first: the host's own way gives up at deep directories.
        """
        if not is_missing(self.directory.path):
            with trio.CancelScope(shield=True):
                await DeadlineThreads(REMOVAL).run(remove_tree, self.directory.path)
        await self._boundary.call(self._host.setup_workdir, label="setup_workdir")
        self.directory.forget()
