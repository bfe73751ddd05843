"""The entry of a session: `run_log_protocol_session`, awaited under Trio or under asyncio."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from optio_agents.bridge import Boundary, run_in_trio
from optio_agents.context import AgentSender, HookContext
from optio_agents.protocol.protocol import Protocol, get_protocol
from optio_agents.session.arguments import check_arguments, check_coroutine_function
from optio_agents.session.callbacks import (
    BodyCallback,
    CallerMessageCallback,
    DeliverableCallback,
    DeliverableFileCallback,
    HookCallback,
    SessionCallbacks,
)
from optio_agents.session.driver import SessionDriver
from optio_agents.session.instrumentation import SessionProbe, installed
from optio_agents.session.optio_context import process_id
from optio_agents.session.options import SessionOptions
from optio_agents.session.outcome import SessionOutcome
from optio_agents.session.plan import Plan
from optio_agents.session.recorder import Recorder


async def run_log_protocol_session(
    host: Any,
    ctx: Any,
    *,
    body: BodyCallback,
    prepare: BodyCallback | None = None,
    before_execute: HookCallback | None = None,
    on_deliverable: DeliverableCallback | None = None,
    on_deliverable_file: DeliverableFileCallback | None = None,
    on_caller_message: CallerMessageCallback | None = None,
    after_execute: HookCallback | None = None,
    protocol: Protocol | None = None,
    agent_sender: AgentSender | None = None,
    keywords: bool = True,
    browser_url_rewrite: Callable[[str], str] | None = None,
    options: SessionOptions | None = None,
) -> SessionOutcome:
    """Run an agent's session: prepare its workdir, follow its log, act upon each line, and decide how it ended.

    Awaited under Trio it takes Trio callables and a Trio host; awaited under asyncio, asyncio callables and an asyncio
    host. All callables run in the event loop from which the session is awaited.

    Args:
        host: where the agent works: `optio_agents.hosts.LocalHost` (Trio), optio-host's `LocalHost` or `RemoteHost`
            (asyncio), or any object with `workdir` and `tail_file`.
        ctx: optio's process context, or anything with `report_progress`.
        body: runs the agent. Its return before DONE is a failure.
        prepare: fills the fresh workdir, before the log and `deliverables/` are made.
        before_execute: runs after the setup, before the body.
        on_deliverable: gets each text deliverable.
        on_deliverable_file: gets each deliverable, of any content. Pass at most one of the two.
        on_caller_message: gets each CALLER_MESSAGE; needs a protocol that enables them.
        after_execute: runs at the end if the setup has begun, shielded from cancellation, with a deadline. After a
            cancellation by the caller or optio it is cut off after `cancel_grace`, or when optio's own grace ends.
        protocol: which keywords are enabled; `get_protocol()` by default.
        agent_sender: puts one message on the agent's input channel. `None`: the agent has none (or the body sets one).
        keywords: `False`: no log is followed, and the session ends when the body returns.
        browser_url_rewrite: applied to each URL of a BROWSER line.
        options: limits and deadlines.

    Returns:
        How it ended: DONE, or cancelled by optio (or, without keywords, the body's return).

    Raises:
        TypeError: an argument has the wrong type; nothing was changed.
        ValueError: arguments contradict each other; nothing was changed.
        SessionFailed: ERROR, the body's return before DONE, or a failure of the session itself. It has `.outcome`.
        BaseException: what the body or a hook raised, the same object; the caller's own cancellation.
    """
    protocol = get_protocol() if protocol is None else protocol
    options = SessionOptions() if options is None else options
    hooks = SessionCallbacks(
        body=body,
        prepare=prepare,
        before_execute=before_execute,
        on_deliverable=on_deliverable,
        on_deliverable_file=on_deliverable_file,
        on_caller_message=on_caller_message,
        after_execute=after_execute,
        browser_url_rewrite=browser_url_rewrite,
    )
    check_arguments(host, ctx, hooks, protocol, options, keywords)
    if agent_sender is not None:
        check_coroutine_function("agent_sender", agent_sender)
    hook_context = HookContext(ctx, host)
    hook_context._agent_sender = agent_sender
    hook_context._run_command = _command_runner(host)
    if not hasattr(host, "open_log"):
        from optio_agents.hosts.contained import contained

        hook_context._host_method = contained

    async def run(boundary: Boundary, probe: SessionProbe | None) -> SessionOutcome:
        plan = Plan(
            boundary=boundary,
            host=host,
            session_host=_session_host(host, boundary),
            ctx=ctx,
            hook_context=hook_context,
            hooks=hooks if probe is None else probe.wrap(hooks),
            protocol=protocol,
            keywords=keywords,
            options=options,
            recorder=Recorder(ctx, options.on_event, boundary.plain, probe),
        )
        return await SessionDriver(plan).run()

    async def main(boundary: Boundary) -> SessionOutcome:
        instrument = installed()
        if instrument is None:
            return await run(boundary, None)
        with instrument.session(process_id(ctx)) as probe:
            return await run(boundary, probe)

    return await run_in_trio(main)


async def fetch_deliverable_text(host: Any, absolute_path: str) -> str:
    """Read a text file of `host`, in the caller's event loop.

    Raises:
        FileNotFoundError: the file does not exist.
        UnicodeDecodeError: it is not UTF-8.
    """
    data: bytes = await host.fetch_bytes_from_host(absolute_path)
    return data.decode("utf-8")


def _command_runner(host: Any) -> Any:
    if hasattr(host, "open_log"):
        return None
    from optio_agents.hosts.adapt import command_runner

    return command_runner(host)


def _session_host(host: Any, boundary: Boundary) -> Any:
    if hasattr(host, "open_log"):
        return host
    from optio_agents.hosts.adapt import adapt_host

    return adapt_host(host, boundary)
