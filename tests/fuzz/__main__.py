"""Fuzz for a time: `python -m tests.fuzz [--seconds 60] [--seed N] [TARGET ...]`.

A finding is printed with its seed; add it to `seeds.txt`, so that the tests try it from then on.
"""

from __future__ import annotations

import argparse
import logging
import random
import sys
import time
import traceback

from tests.fuzz.targets import TARGETS


def main() -> int:
    """Try random cases, target by target in turn; return 1 if one of them failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("targets", nargs="*", choices=[[], *TARGETS], default=[])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, help="try this case only")
    arguments = parser.parse_args()
    logging.disable()
    names = arguments.targets or list(TARGETS)
    end = time.monotonic() + arguments.seconds
    first = random.SystemRandom().randrange(2**48)
    cases = findings = 0
    while arguments.seed is not None or time.monotonic() < end:
        for name in names:
            seed = first + cases if arguments.seed is None else arguments.seed
            cases += 1
            try:
                TARGETS[name](random.Random(seed))
            except Exception:
                findings += 1
                traceback.print_exc()
                print(f"FOUND: {name} {seed}\n", flush=True)
        if arguments.seed is not None or findings > 20:
            break
    print(f"{cases} cases of {', '.join(names)}: {findings} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
