"""The time and memory limits of a conversation."""

from __future__ import annotations

from dataclasses import dataclass

from optio_agents.hosts.processes.deadlines import Deadlines


@dataclass(frozen=True, slots=True)
class ConversationOptions:
    """All times are in seconds. None of them limits the duration of a turn or of a permission request."""

    start_seconds: float = 60.0
    """Until the agent must be ready (some load for several seconds)."""
    interrupt_seconds: float = 10.0
    """Until an interrupted turn must have ended; then the agent's processes are ended. Acknowledgements were
    measured at 10-100 ms."""
    stop_seconds: float = 2.0
    """How long closing waits for the running turn to stop in-band before the agent's input is closed."""
    ask_seconds: float = 5.0
    """How long an agent may take to exit once its input is closed; then TERM."""
    term_seconds: float = 5.0
    """How long after TERM; then KILL."""
    kill_seconds: float = 5.0
    """How long after KILL, before what is still there is given up on and reported."""
    control_seconds: float = 30.0
    """How long the agent may take to answer that a control was set, or which controls it has. Answers were measured at
    5-600 ms."""
    tool_seconds: float = 600.0
    """How long a call of one of `tools` may take; then it is cancelled, and the model reads so."""
    tool_result_characters: int = 100_000
    """How much of what one of `tools` returns the model reads: the beginning and the end of more."""
    queue_limit: int = 256
    """How many sends may wait; one more raises `SendQueueFull`."""
    backlog_events: int = 20_000
    """How many events are kept for a subscriber that is behind. Then the agent's output is not read on, until the
    subscriber moves; one that is stuck loses the oldest, and they are counted."""
    backlog_bytes: int = 64 * 1024 * 1024
    """The same in bytes of memory (estimated; a decoded line takes up to 25 times its length)."""
    stuck_seconds: float = 1.0
    """How long a subscriber that is behind may take for one event before it is stuck, which costs the others this
    long, once."""
    outbox_bytes: int = 64 * 1024 * 1024
    """How many bytes may wait for an agent that does not read its input, beside what is being written and the
    last text; past that the conversation ends. Answers are some hundred bytes each, unless they repeat a large
    input.
    """

    @property
    def deadlines(self) -> Deadlines:
        """For each step of ending the processes of the agent."""
        return Deadlines(self.ask_seconds, self.term_seconds, self.kill_seconds)

    @property
    def end_seconds(self) -> float:
        """The most that closing may take."""
        return self.stop_seconds + self.ask_seconds + self.term_seconds + self.kill_seconds


DEFAULT_OPTIONS = ConversationOptions()
