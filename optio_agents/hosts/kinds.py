"""Which of optio-host's hosts an object is, for code that can do better on them than their own methods do."""

from __future__ import annotations

import sys
from typing import Any


def is_optio_local(host: Any, method: str) -> bool:
    """Whether `host` is optio-host's `LocalHost` with its own `method` (a subclass or a test may have another)."""
    return _is("LocalHost", host, method)


def is_optio_remote(host: Any, method: str) -> bool:
    """The same for `RemoteHost`."""
    return _is("RemoteHost", host, method)


def _is(name: str, host: Any, method: str) -> bool:
    known = getattr(sys.modules.get("optio_host.host"), name, None)
    return (
        known is not None
        and isinstance(host, known)
        and getattr(type(host), method) is getattr(known, method)
        and method not in vars(host)
    )
