"""What can go wrong with a seed. An unknown seed is a `KeyError` everywhere."""

from __future__ import annotations


class LeaseLost(Exception):  # noqa: N818 - named for what happened
    """Another holder has the seed's lease: stop using the seed. The stored archive was not changed."""


class SeedArchiveError(RuntimeError):
    """A seed's archive cannot be read, written or planted: damaged, too large, or refused by the host."""


class SeedChanged(Exception):  # noqa: N818
    """Another writer replaced the seed's blob meanwhile: the caller merges again. Never leaves this package."""
