"""A session in a program of your own, under Trio: hooks that prepare the host and fetch what is left there.

    python examples/hook.py

The agent is a few lines of shell. `before_execute` copies its input to the host and looks at it there; the
callback gets the deliverable; `after_execute` reads a file that the agent has written.
"""

from __future__ import annotations

import tempfile

import trio

from optio_agents import HookContext, run_log_protocol_session
from optio_agents.hosts.local import LocalHost

POEM = """\
The sea is calm tonight.
The tide is full, the moon lies fair
Upon the straits
"""

AGENT = """
echo 'STATUS: 30% Sorting' >> optio.log
sort poem.txt > deliverables/sorted.txt
echo 'sorted by' $(id -un) > notes.txt
echo 'DELIVERABLE: deliverables/sorted.txt' >> optio.log
echo 'DONE: sorted' >> optio.log
"""


class PrintingContext:
    """The least that a session needs of a process context: somewhere to report progress to."""

    def report_progress(self, percent: float | None, message: str | None = None) -> None:
        """Print it."""
        print("" if percent is None else f"{percent:.0f}%", message or "")

    def should_continue(self) -> bool:
        """Never cancelled."""
        return True


async def bring_the_poem(hook_context: HookContext) -> None:
    """Copy the input to the host, and count its lines there."""
    await hook_context.copy_file(POEM.encode(), "poem.txt")
    count = await hook_context.run_on_host("wc -l < poem.txt")
    print("lines on the host:", count.strip())


async def run_the_agent(host: LocalHost, hook_context: HookContext) -> None:
    """The session's body: its return before DONE would be a failure."""
    await hook_context.run_on_host(AGENT)


async def take_the_result(hook_context: HookContext, path: str, text: str) -> str | None:
    """Look at the deliverable: what is returned is said to the agent; None accepts it."""
    print(f"{path}:", text.splitlines()[0])
    return None if text.startswith("The sea") else "it is not sorted: please sort it by line"


async def read_the_notes(hook_context: HookContext) -> None:
    """Read what the agent left in its workdir."""
    notes = await hook_context.read_from_host("notes.txt", silent=True)
    print("notes:", notes.decode().strip())


async def main() -> None:
    """One session in a temporary directory."""
    with tempfile.TemporaryDirectory() as directory:
        outcome = await run_log_protocol_session(
            LocalHost(directory),
            PrintingContext(),
            before_execute=bring_the_poem,
            body=run_the_agent,
            on_deliverable=take_the_result,
            after_execute=read_the_notes,
        )
    print(f"{outcome.ending.value}: {outcome.message}")


if __name__ == "__main__":
    trio.run(main)
