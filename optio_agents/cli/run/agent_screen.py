"""The terminal of a run with a coding agent: the agent's text, its questions, and the events of the run."""

from __future__ import annotations

import trio
from rich.console import Console

from optio_agents.cli.chat.dialog import Dialog
from optio_agents.cli.chat.keyboard import Keyboard
from optio_agents.cli.chat.question_screen import QuestionScreen, harmless
from optio_agents.cli.chat.stdin_bytes import read_some
from optio_agents.cli.run.output.events import RunEnded, RunEvent
from optio_agents.cli.run.output.live_display import render_end
from optio_agents.cli.run.output.plain_text import event_line
from optio_agents.cli.run.output.writers import Output
from optio_agents.conversation import AgentConversation, ConversationClosed, ConversationError
from optio_agents.protocol.display import display_text
from optio_agents.session.events import AttentionAsked


class AgentScreen(Output):
    """Shows a run and its agent line by line, and puts the agent's questions to the user."""

    def __init__(self, descriptor: int, console: Console) -> None:
        self._descriptor = descriptor
        self._console = console
        self._keyboard = Keyboard(descriptor)
        self._screen = QuestionScreen(console)
        self.dialog = Dialog(self._keyboard, self._screen.line, self._screen.size, self._screen.alone)
        self._ended = trio.Event()

    def show(self, event: RunEvent) -> None:
        """Print the line of `event`. The outcome comes last; it is wrapped and complete."""
        if isinstance(event, RunEnded):
            self._screen.hold(False)
            self._screen.end_line()
            self._screen.print(render_end(event, ascii_only=self._console.options.ascii_only))
            self._ended.set()
            return
        line = event_line(event)
        if line is not None:
            self._screen.write(f"· {line}\n", own_line=True)
            if isinstance(event, AttentionAsked):
                self._console.bell()

    def text(self, delta: str) -> None:
        """Print a piece of the agent's text, harmless for the terminal."""
        self._screen.write(harmless(delta))

    def tool(self, line: str) -> None:
        """Print what the agent does with a tool."""
        self._screen.write(f"\N{MIDDLE DOT} {line}\n", own_line=True)

    async def run(self) -> None:
        """Wait until the outcome has been shown."""
        await self._ended.wait()

    async def read(self, conversation: AgentConversation) -> None:
        """Send each typed line to the agent, except the answers to its questions."""
        while True:
            data = await read_some(self._descriptor)
            for line in self._keyboard.take(data):
                try:
                    await conversation.send(line)
                except (ConversationClosed, ConversationError) as error:
                    self._screen.write(f"· not sent: {display_text(str(error), 300)}\n", own_line=True)
            if not data:
                return
