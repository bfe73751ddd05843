"""Whether the extra `web` is installed."""

from __future__ import annotations

from importlib.util import find_spec


def require_web() -> None:
    """Check that what serves a conversation is installed.

    Raises:
        ImportError: it is not.
    """
    missing = [name for name in ("starlette", "hypercorn") if find_spec(name) is None]
    if missing:
        raise ImportError(
            "a conversation in the browser needs the extra `web`: pip install 'optio-agents[web]' "
            f"(missing: {', '.join(missing)})"
        )
