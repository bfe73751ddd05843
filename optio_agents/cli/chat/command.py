"""`optio-agents chat`: talk to a coding agent, at a terminal or from a program."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from typing import TYPE_CHECKING

from optio_agents.cli.arguments import AGENT_NAMES, check_web
from optio_agents.cli.color import add_color_option
from optio_agents.cli.exit_codes import ExitCode, UsageError
from optio_agents.cli.stderr import write_stderr

if TYPE_CHECKING:
    from optio_agents.bridge import Boundary
    from optio_agents.conversation import AgentConversation

WORDS_LIMIT = 4000
"""How many characters of what an agent said that does not start are shown."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `chat` and its arguments."""
    parser = subparsers.add_parser(
        "chat",
        help="talk to a coding agent",
        description="Talk to a coding agent. Enter sends; what is sent while it is busy waits its turn. "
        "Its questions for permission are answered with one key, other questions with a line. Ctrl-C interrupts it, "
        "twice leaves, Ctrl-D leaves when everything is answered.",
        epilog="exit codes: 0 left, 2 the agent cannot be started, 3 the agent ended by itself, 130 left by Ctrl-C, "
        "SIGTERM or SIGHUP, or because the reader of the output has gone",
    )
    parser.add_argument(
        "--agent", choices=AGENT_NAMES, default="claude", help="which agent (default: %(default)s)"
    )
    parser.add_argument(
        "--json",
        action="store_true",
        help="for programs: one JSON object per line, commands on stdin, events on stdout",
    )
    parser.add_argument(
        "--resume",
        metavar="SESSION",
        help="resume a session: its id, which is shown at the end, or last (the last one in this directory)",
    )
    parser.add_argument(
        "--web", action="store_true", help="also show it on a page in the browser (needs the extra web)"
    )
    add_color_option(parser)
    parser.add_argument("--workdir", default=".", metavar="DIR", help="where the agent works (default: here)")
    parser.add_argument(
        "command", nargs="*", metavar="COMMAND", help="after --: how to run the agent, if not by its name"
    )


def run(args: argparse.Namespace) -> int:
    """Talk until either side leaves; return the exit code.

    Raises:
        UsageError: the agent cannot be started.
    """
    import asyncio

    import trio

    from optio_agents.conversation import AgentNotStarted
    from optio_agents.protocol.display import display_text

    if args.web:
        check_web()
    if not os.path.isdir(args.workdir):
        raise UsageError(f"there is no directory {args.workdir!r}")
    try:
        if not args.json and _has_line_editor():
            from optio_agents.bridge import run_in_trio

            # prompt_toolkit runs on asyncio: everything else is Trio, as a guest of its loop.
            return asyncio.run(run_in_trio(lambda boundary: _main(args, boundary)))
        return trio.run(_main, args, None)
    except AgentNotStarted as error:
        # The message quotes an unknown program: its text must not act on the terminal.
        raise UsageError(display_text(str(error), WORDS_LIMIT)) from None


def _has_line_editor() -> bool:
    """Whether the terminal can do what a line editor needs: move the cursor, and be typed at."""
    return (
        sys.stdin.isatty()
        and sys.stdout.isatty()
        and os.environ.get("TERM", "dumb") not in ("dumb", "unknown")
    )


async def _main(args: argparse.Namespace, boundary: Boundary | None) -> int:
    """Chat until the end. From its start on, SIGTERM and SIGHUP end it together with the agent."""
    import trio

    hangup = () if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else (signal.SIGHUP,)
    code = int(ExitCode.INTERRUPTED)
    failure: Exception | None = None
    with trio.open_signal_receiver(signal.SIGTERM, *hangup) as signals:
        async with trio.open_nursery() as nursery:

            async def end_on_signal() -> None:
                async for number in signals:
                    nursery.cancel_scope.cancel(reason=f"signal {number}")

            nursery.start_soon(end_on_signal)
            try:
                code = await _chat(args, boundary)
            except Exception as error:  # noqa: BLE001 - raised below, outside of the nursery: no group
                failure = error
            nursery.cancel_scope.cancel(reason="the chat is over")
    if failure is not None:
        raise failure
    return code


async def _chat(args: argparse.Namespace, boundary: Boundary | None) -> int:
    from optio_agents.cli.chat.last_sessions import last_session, remember_session
    from optio_agents.conversation import AGENTS, open_conversation
    from optio_agents.conversation.agents import replaying

    recipe = AGENTS[args.agent]
    resume = args.resume
    if resume == "last":
        resume = last_session(args.agent, args.workdir)
    options = {"resume": resume} if resume else {}
    agent = recipe(args.command, **options) if args.command else recipe(**options)
    if args.web:
        agent = replaying(agent)
    async with (
        open_conversation(agent, workdir=args.workdir) as conversation,
        _page(conversation, args.workdir) if args.web else nullcontext(),
    ):
        if args.json:
            from optio_agents.cli.chat.json_program import ProgramChat

            return await ProgramChat(conversation, sys.stdin.fileno(), sys.stdout.fileno()).run()
        from optio_agents.cli.chat.terminal import TerminalChat

        def remember() -> None:
            if conversation.session is not None and conversation.capabilities.resume:
                remember_session(args.agent, args.workdir, conversation.session)

        return await TerminalChat(conversation, sys.stdin.fileno(), boundary, remember, args.color).run()


@asynccontextmanager
async def _page(conversation: AgentConversation, workdir: str) -> AsyncIterator[None]:
    """Serve the page of the conversation while the block runs, and print its address on stderr."""
    from optio_agents.web.feed import ConversationFeed
    from optio_agents.web.view import web_view

    async with web_view(ConversationFeed(conversation), directory=workdir) as view:
        write_stderr(f"optio-agents: this conversation in the browser: {view.page}")
        yield
