"""An agent's checklist: as progress, as rows in the dashboard, and in a file that survives a resume.

```
items.py        the values: rows, updates, reports
progress.py     the list, and what each update does to it: a plain value, no I/O
saved.py        the list as JSON
payloads.py     updates out of what agents write: todo tools, plans of the Agent Client Protocol
backends.py     updates out of the events of the conversations that this package brings
publisher.py    the newest rows to the dashboard, one write at a time
storage.py      the file in the workdir, read and written without following what an agent may have planted
tracker.py      the above, connected to a conversation and a process
```
"""

from optio_agents.todos.items import (
    ProgressReport,
    TodoFieldPatch,
    TodoItem,
    TodoUpdate,
    assign_ids,
)
from optio_agents.todos.payloads import (
    TODO_TOOL_NAMES,
    extract_acp_todo,
    normalize_tool_name,
    todo_update_from_payload,
)
from optio_agents.todos.progress import TodoProgress
from optio_agents.todos.storage import TODO_FILENAME
from optio_agents.todos.tracker import TodoTracker

__all__ = [
    "TODO_FILENAME",
    "TODO_TOOL_NAMES",
    "ProgressReport",
    "TodoFieldPatch",
    "TodoItem",
    "TodoProgress",
    "TodoTracker",
    "TodoUpdate",
    "assign_ids",
    "extract_acp_todo",
    "normalize_tool_name",
    "todo_update_from_payload",
]
