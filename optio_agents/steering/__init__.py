"""Messages to an agent that is working: none is lost, merged with another or sent twice.

```
busy_send.py    what an agent does with a message that arrives while it works
events.py       the events for the transcript
message_queue.py    which message is sent when, sans-IO: a plain value
steering.py     the queue, connected to a conversation
own.py          the same for the conversations that this package brings
```
"""

from optio_agents.steering.busy_send import (
    BUSY_SEND_VALUES,
    NATIVE_QUEUE,
    BusySend,
    BusySendDeclaration,
    resolve_busy_send,
)
from optio_agents.steering.events import INTERRUPT_EVENT, QUEUED_EVENT, REQUEUED_EVENT, TAKEN_EVENT
from optio_agents.steering.message_queue import PROMPT_SEPARATOR, QUEUE_LIMIT, SteeringQueueFull
from optio_agents.steering.steering import TURN_END_TIMEOUT_S, SendOutcome, Steering

__all__ = [
    "BUSY_SEND_VALUES",
    "INTERRUPT_EVENT",
    "NATIVE_QUEUE",
    "PROMPT_SEPARATOR",
    "QUEUED_EVENT",
    "QUEUE_LIMIT",
    "REQUEUED_EVENT",
    "TAKEN_EVENT",
    "TURN_END_TIMEOUT_S",
    "BusySend",
    "BusySendDeclaration",
    "SendOutcome",
    "Steering",
    "SteeringQueueFull",
    "resolve_busy_send",
]
