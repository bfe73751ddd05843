"""`... probe NAME PARAMETERS`: run one measurement, print its answer as the last line of stdout, in JSON."""

from __future__ import annotations

import gc
import importlib
import json
import sys
from typing import Any


def main() -> None:
    """Run the measurement that the command line names."""
    name, parameters = sys.argv[1], json.loads(sys.argv[2])
    measure = importlib.import_module(f"benchmarks.sessions.probe.{name}").measure
    gc.collect()
    gc.freeze()
    answer: dict[str, Any] = measure(parameters)
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
