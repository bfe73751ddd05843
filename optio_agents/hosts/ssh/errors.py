"""What can go wrong with a host: the connection, or the host itself."""

from __future__ import annotations


class ConnectionGone(OSError):  # noqa: N818 - named for what happened
    """The SSH connection was lost, or none could be made: the environment's fault. A retry may help."""


class HostGone(ConnectionGone):
    """No connection could be made before the time limit for retries."""


class HostFailed(OSError):  # noqa: N818 - named for what happened
    """The host did not do what was requested. The text says what, and quotes the host."""
