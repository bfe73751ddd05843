"""`--color`: whether the output has colors."""

from __future__ import annotations

import argparse
from typing import Literal, TypeAlias, TypedDict

ColorChoice: TypeAlias = Literal["auto", "always", "never"]


class ColorOptions(TypedDict):
    """What a rich console needs to know; `None`: it decides by itself, from the terminal and `NO_COLOR`."""

    no_color: bool | None
    force_terminal: bool | None


def add_color_option(parser: argparse.ArgumentParser) -> None:
    """Add `--color`."""
    parser.add_argument(
        "--color",
        choices=("auto", "always", "never"),
        default="auto",
        help="colors: auto is at a terminal, unless NO_COLOR is set (default: %(default)s)",
    )


def color_options(choice: ColorChoice) -> ColorOptions:
    """The options of a rich console."""
    if choice == "auto":
        return ColorOptions(no_color=None, force_terminal=None)
    return ColorOptions(no_color=choice == "never", force_terminal=True if choice == "always" else None)
