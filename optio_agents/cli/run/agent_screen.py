"""The terminal of a run with a coding agent: the agent's text, its questions, and the events of the run."""

from __future__ import annotations

from contextlib import suppress

import trio
from rich.console import Console
from rich.text import Text

from optio_agents.cli.chat.dialog import Dialog
from optio_agents.cli.chat.keyboard import Keyboard
from optio_agents.cli.chat.stdin_bytes import read_some
from optio_agents.cli.run.output.events import RunEnded, RunEvent
from optio_agents.cli.run.output.live_display import render_end
from optio_agents.cli.run.output.plain_text import event_line
from optio_agents.cli.run.output.writers import Output
from optio_agents.conversation import AgentConversation, ConversationClosed, ConversationError
from optio_agents.protocol.display import display_text
from optio_agents.session.events import AttentionAsked

HELD_LIMIT = 1024 * 1024
"""Characters that are kept while a question is on the screen; of more, the first ones are dropped."""


class AgentScreen(Output):
    """Shows a run and its agent line by line, and puts the agent's questions to the user."""

    def __init__(self, descriptor: int, console: Console) -> None:
        self._descriptor = descriptor
        self._console = console
        self._keyboard = Keyboard(descriptor)
        self.dialog = Dialog(self._keyboard, self._line, self._size, self._hold)
        self._ended = trio.Event()
        self._at_line_start = True
        self._asking = False
        self._held: list[str] = []
        self._held_size = 0

    def show(self, event: RunEvent) -> None:
        """Print the line of `event`. The outcome comes last; it is wrapped and complete."""
        if isinstance(event, RunEnded):
            self._asking = False
            self._release()
            self._end_line()
            self._print_text(render_end(event, ascii_only=self._console.options.ascii_only))
            self._ended.set()
            return
        line = event_line(event)
        if line is not None:
            bell = "\a" if isinstance(event, AttentionAsked) else ""
            self._put(f"{'' if self._at_line_start else chr(10)}· {line}\n", bell)

    def text(self, delta: str) -> None:
        """Print a piece of the agent's text, harmless for the terminal."""
        self._put(
            "\n".join(display_text(line, max(32, len(line))) if line else "" for line in delta.split("\n"))
        )

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
                    self._put(f"· not sent: {display_text(str(error), 300)}\n")
            if not data:
                return

    def _size(self) -> tuple[int, int]:
        return self._console.width, self._console.height

    def _hold(self, asking: bool) -> None:
        """While a question is on the screen, hold everything else, which would scroll the question away."""
        if asking:
            self._end_line()
        self._asking = asking
        if not asking:
            self._release()

    def _release(self) -> None:
        held, self._held, self._held_size = self._held, [], 0
        for text in held:
            self._put(text)

    def _put(self, text: str, bell: str = "") -> None:
        if self._asking:
            self._held.append(text)
            self._held_size += len(text)
            while self._held_size > HELD_LIMIT and len(self._held) > 1:
                self._held_size -= len(self._held.pop(0))
            return
        self._print_text(Text(text), end="")
        if bell:
            self._console.bell()
        self._at_line_start = text.endswith("\n")

    def _line(self, line: str, style: str) -> None:
        """A line of a question, which is safe to show already."""
        self._print_text(Text(line, style=style))
        self._at_line_start = True

    def _end_line(self) -> None:
        if not self._at_line_start:
            self._print_text(Text(""))
            self._at_line_start = True

    def _print_text(self, text: Text, end: str = "\n") -> None:
        # A terminal that was hung up shows nothing.
        with suppress(OSError):
            self._console.print(text, end=end, soft_wrap=True)
