"""`run --agent`: a conversation with a coding agent, as the body of a session on this machine."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import trio

from optio_agents.cli.chat.summaries import tool_line
from optio_agents.cli.exit_codes import CommandFailure, ExitCode
from optio_agents.cli.run.agent_screen import AgentScreen
from optio_agents.cli.run.agent_settings import AgentSettings, is_interactive
from optio_agents.cli.run.deliverable_store import DeliverableStore
from optio_agents.cli.run.local_run import LocalRun, run_agent
from optio_agents.cli.run.output.events import AgentSaid, AgentStarted, PageServed, RunEnded, RunEvent
from optio_agents.cli.run.output.web_notes import web_note
from optio_agents.cli.run.output.writers import Output, choose_output, open_console
from optio_agents.cli.run.settings import RunSettings, Show
from optio_agents.cli.run.terminal_context import TerminalContext
from optio_agents.cli.run.workspace import Workspace
from optio_agents.conversation import (
    AgentConversation,
    AgentNotStarted,
    ConversationClosed,
    Event,
    PermissionDecision,
    PermissionRequest,
    QuestionAnswer,
    QuestionRequest,
    views_of,
)
from optio_agents.conversation.agent_body import AgentBody
from optio_agents.hosts.background import running_in_background
from optio_agents.hosts.processes.adoption import become_subreaper
from optio_agents.protocol.display import display_text
from optio_agents.protocol.prompt import build_log_channel_prompt
from optio_agents.session.deliverable import DeliverableFile

if TYPE_CHECKING:
    from optio_agents.web.feed import ConversationFeed

REASON_LIMIT = 2_000
"""Characters of an agent's own words in the outcome."""

TEXT_LINE_LIMIT = 4_000
"""Characters of a line of the agent's text; a longer one is shown in several pieces."""


def run_coding_agent(settings: RunSettings, agent: AgentSettings) -> int:
    """Run the agent, show its events, save its deliverables; return the exit code."""

    def start(settings: RunSettings, workspace: Workspace, store: DeliverableStore) -> RunEnded:
        async def main() -> RunEnded:
            context = TerminalContext(trio.Event())
            return await ConversationRun(settings, workspace, store, context, agent).run()

        become_subreaper()
        return trio.run(main)

    return run_agent(settings, start)


def full_prompt(settings: RunSettings, task: str) -> str:
    """The agent's first message: the protocol's documentation, then the user's words."""
    return f"{build_log_channel_prompt(settings.features)}\n\n## Your task\n\n{task}\n"


class ConversationRun(LocalRun):
    """One run of a coding agent."""

    def __init__(
        self,
        settings: RunSettings,
        workspace: Workspace,
        store: DeliverableStore,
        context: TerminalContext,
        agent: AgentSettings,
    ) -> None:
        self._screen = (
            AgentScreen(sys.stdin.fileno(), open_console(settings.color))
            if settings.show is Show.AUTO and is_interactive(agent.prompt_from_stdin)
            else None
        )
        super().__init__(settings, workspace, store, context)
        self._agent_settings = agent
        self._text = ""
        self._feed: ConversationFeed | None = None
        self._has_feed = trio.Event()
        # The agent's deliverables directory may be the one in which they are saved.
        self._in_place = os.path.realpath(store.root) == os.path.realpath(workspace.workdir / "deliverables")

    def _choose_output(self) -> Output:
        return self._screen or choose_output(self._settings)

    async def run(self) -> RunEnded:
        """Run everything; a page, if there is one, shows the end, too."""
        if not self._agent_settings.web:
            return await super().run()
        async with running_in_background(self._serve):
            return await super().run()

    async def _body(self, host: object, hook_context: Any) -> None:
        opened = trio.Event()
        conversations: list[AgentConversation] = []

        def on_open(conversation: AgentConversation) -> None:
            conversations.append(conversation)
            if self._agent_settings.web:
                self._follow_for_page(conversation)
            opened.set()

        async def follow() -> None:
            await opened.wait()
            await self._follow(conversations[0])

        body = AgentBody(
            agent=self._agent_settings.agent,
            prompt=full_prompt(self._settings, self._agent_settings.prompt),
            on_permission_request=self._permission,
            on_question=self._question,
            on_open=on_open,
        )
        try:
            async with running_in_background(follow):
                await body(host, hook_context)
            self._status = "it stopped working and did not say how it ended"
        except AgentNotStarted as error:
            # The message quotes a program: its text must not act on the terminal.
            raise CommandFailure(ExitCode.USAGE, display_text(str(error), REASON_LIMIT)) from None
        except ConversationClosed as error:
            self._status = display_text(str(error), REASON_LIMIT)
        finally:
            self._flush_text()

    def _show_event(self, event: RunEvent) -> None:
        super()._show_event(event)
        if self._feed is not None and (note := web_note(event)) is not None:
            self._feed.note(**note)

    def _follow_for_page(self, conversation: AgentConversation) -> None:
        from optio_agents.web.feed import SENT, ConversationFeed

        self._feed = ConversationFeed(conversation)
        self._feed.note(SENT, text=self._agent_settings.prompt)
        self._has_feed.set()

    async def _serve(self) -> None:
        """Serve the page once there is a conversation, and show its address."""
        from optio_agents.web.view import web_view

        await self._has_feed.wait()
        assert self._feed is not None
        async with web_view(self._feed, directory=str(self._workspace.workdir)) as view:
            self._show_event(PageServed(view.page))
            await trio.sleep_forever()

    async def _follow(self, conversation: AgentConversation) -> None:
        started = AgentStarted((conversation.name,), None, self._workspace.workdir)
        self._agent_runs(_Sends(conversation), started)
        async with trio.open_nursery() as nursery:
            if self._screen is not None:
                nursery.start_soon(self._screen.read, conversation)
            if self._agent_settings.show != "nothing":
                nursery.start_soon(self._stream_text, conversation)

    async def _stream_text(self, conversation: AgentConversation) -> None:
        with conversation.events() as events:
            async for event in events:
                if event.text and self._screen is not None:
                    self._screen.text(event.text)
                elif event.text:
                    self._say(event.text)
                if self._agent_settings.show == "tools":
                    self._show_tools(event)

    def _show_tools(self, event: Event) -> None:
        """Show a line for each use of a tool, and each result, in `event`."""
        for view in views_of(event):
            if (line := tool_line(view)) is None:
                continue
            if self._screen is not None:
                self._screen.tool(line)
            else:
                self._flush_text()
                self._show_event(AgentSaid(line))

    def _say(self, delta: str) -> None:
        """Show whole lines: pieces of a line are only useful on a terminal."""
        *lines, self._text = (self._text + delta).split("\n")
        for line in lines:
            self._show_event(AgentSaid(line))
        while len(self._text) > TEXT_LINE_LIMIT:
            self._show_event(AgentSaid(self._text[:TEXT_LINE_LIMIT]))
            self._text = self._text[TEXT_LINE_LIMIT:]

    def _flush_text(self) -> None:
        if self._text:
            self._show_event(AgentSaid(self._text))
            self._text = ""

    async def _permission(self, request: PermissionRequest) -> PermissionDecision | None:
        rules = self._agent_settings.rules
        decision = rules.decide(request)
        if decision is not None:
            return decision
        if self._screen is not None:
            return await self._screen.dialog.permission(request)
        if self._agent_settings.web:
            return None  # The question stays open for the page.
        return PermissionDecision(
            "deny", message=f"no user can be asked; the permissions of this run are: {rules.text}"
        )

    async def _question(self, request: QuestionRequest) -> QuestionAnswer | None:
        if self._screen is not None:
            return await self._screen.dialog.question(request)
        if self._agent_settings.web:
            return None
        return QuestionAnswer.declined("no user can be asked: decide yourself")

    async def _save(self, hook_context: object, file: DeliverableFile) -> None:
        if self._in_place:
            self._store.saves += 1
        else:
            await super()._save(hook_context, file)


class _Sends:
    """A conversation, with the interface that a run expects of its agent."""

    def __init__(self, conversation: AgentConversation) -> None:
        self._conversation = conversation

    async def send(self, message: str) -> None:
        await self._conversation.send(message)

    def hurry(self) -> None:
        """Do nothing: the end of a conversation takes at most `agent_body.CLOSE_SECONDS`."""
