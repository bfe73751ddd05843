"""The tables of the documentation, from the codecs' own declarations.

`python -m optio_agents.conversation.views.table` prints them.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Iterable, Sequence

from optio_agents.conversation.codecs.acp import AcpCodec
from optio_agents.conversation.codecs.base import Codec
from optio_agents.conversation.codecs.claude import ClaudeCodec
from optio_agents.conversation.codecs.codex import CodexCodec
from optio_agents.conversation.values import Capabilities
from optio_agents.conversation.views.dispatch import BACKENDS
from optio_agents.conversation.views.values import View

CODECS: dict[str, type[Codec]] = {each.name: each for each in (ClaudeCodec, CodexCodec, AcpCodec)}


def views_table() -> str:
    """Which kinds of events give which view, by backend, in Markdown."""
    rows = [
        (f"`{view.__name__}`", *(_kinds(name, view) or "-" for name in BACKENDS))
        for view in typing.get_args(View)
    ]
    return _markdown(("view", *BACKENDS), rows)


def capabilities_table() -> str:
    """What each backend can do, in Markdown."""
    rows = [
        (
            f"`{field.name}`",
            *("yes" if getattr(CODECS[name].capabilities, field.name) else "no" for name in CODECS),
        )
        for field in dataclasses.fields(Capabilities)
    ]
    return _markdown(("capability", *CODECS), rows)


def _kinds(backend: str, view: type) -> str:
    decoders = BACKENDS[backend].decoders.items()
    return ", ".join(f"`{kind}`" for kind, decoder in decoders if view in decoder.gives)


def _markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


if __name__ == "__main__":
    print(views_table(), capabilities_table(), sep="\n")
