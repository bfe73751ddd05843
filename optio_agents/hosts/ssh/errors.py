"""What can go wrong with a host: the connection, or the host itself."""

from __future__ import annotations


class ConnectionGone(OSError):  # noqa: N818 - named for what happened
    """The SSH connection was lost, or none could be made: the environment's fault. Trying again may help."""


class HostGone(ConnectionGone):
    """No connection could be made for as long as it is tried."""


class HostFailed(OSError):  # noqa: N818 - named for what happened
    """The host does not do what was asked: the text says what, with the host's own words."""
