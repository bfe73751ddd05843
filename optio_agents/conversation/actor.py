"""The tasks of one conversation: its actor, and those that move bytes for it.

```
 agent ──stdout──> listen ──Heard──> converse (the actor: Core) ──> subscribers, waiters, permission dispatcher
   ^                                    │  ^
   └──stdin── Outbox.write_to <─────────┘  └── the owner's commands
   └──ended by── end_when_asked <── Core.ending
```
"""

from __future__ import annotations

from contextlib import suppress

import trio

import actors
from optio_agents.conversation.actor_state import Core
from optio_agents.conversation.commands import Command, Gone, Heard
from optio_agents.conversation.transport import Transport

MAILBOX_CAPACITY = 256


async def converse(me: actors.Me[Command], core: Core) -> None:
    """The actor: one message at a time, none of which it waits for. It finishes when the agent is gone."""
    core.start(me.timers)
    me.ready()
    async for message in me:
        core.handle(message, me.timers)
        if core.turn_state.over:
            return


async def listen(transport: Transport, ref: actors.Ref[Command]) -> None:
    """Bring what the agent prints to the actor, and in the end the news that it is gone."""
    with suppress(actors.ActorStopped):
        while data := await transport.receive():
            await ref.tell(Heard(data))
        await ref.tell(Heard(b""))
        # Without its output it is of no use, whether or not it has exited.
        await transport.end(ask=True)
        await ref.tell(Gone(await transport.wait()))


async def end_when_asked(transport: Transport, core: Core, ref: actors.Ref[Command]) -> None:
    """End the agent when the conversation says so, and make sure that the actor learns it is gone."""
    request = await core.ending.wait()
    if request.ask:
        # The interrupt that was written just now may still be honoured; then the turn ends as interrupted.
        with trio.move_on_after(core.options.stop_seconds):
            await core.outbox.flushed()
            await core.running.wait_value(False)
    await transport.end(ask=request.ask)
    with suppress(actors.ActorStopped):
        await ref.tell(Gone(await transport.wait()))
