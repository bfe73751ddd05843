"""Which models an account may really use: asked one by one, and remembered for a day.

```
probing.py      ask each model a question
child.py        do that as a child process, with a conversation of its own
cache.py        the answers in the database
own.py          ask the agents that this package brings, each in a conversation of its own
verdicts.py     the answers in a list of models
```
"""

from optio_agents.model_probe.cache import (
    PROBE_CACHE_TTL,
    load_probe_cache,
    probe_cache_key,
    save_probe_cache,
)
from optio_agents.model_probe.child import run_probe_child
from optio_agents.model_probe.probing import PROBE_QUESTION, probe_models
from optio_agents.model_probe.verdicts import apply_probe, disabled_map

__all__ = [
    "PROBE_CACHE_TTL",
    "PROBE_QUESTION",
    "apply_probe",
    "disabled_map",
    "load_probe_cache",
    "probe_cache_key",
    "probe_models",
    "run_probe_child",
    "save_probe_cache",
]
