"""The options that choose the protocol's optional keywords, for the commands that have them."""

from __future__ import annotations

import argparse
from typing import get_args

from optio_agents.protocol.features import BrowserMode, ProtocolFeatures


def add_feature_options(parser: argparse.ArgumentParser) -> None:
    """Add `--browser`, `--client-messages` and `--caller-messages`."""
    parser.add_argument(
        "--browser",
        choices=get_args(BrowserMode),
        default="ignore",
        help="what becomes of attempts to open a browser; `redirect` enables BROWSER (default: ignore)",
    )
    parser.add_argument("--client-messages", action="store_true", help="enable CLIENT_MESSAGE")
    parser.add_argument("--caller-messages", action="store_true", help="enable CALLER_MESSAGE")


def features_of(args: argparse.Namespace) -> ProtocolFeatures:
    """The features that the options ask for."""
    return ProtocolFeatures(args.browser, args.client_messages, args.caller_messages)
