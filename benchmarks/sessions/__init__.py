"""How fast a session is, beside the published `optio-agents` and beside the machine's own limits.

`python -m benchmarks.sessions` measures and writes `docs/benchmarks.md`. The parts, in the order of a run:

    rivals.py     who is measured: the published package in a virtual environment of its own, and ours
    logs.py       the log files that all of them get, from a seed
    probe/        what runs inside a rival's Python: one process per measurement, JSON out
    limits.py     what the machine can do at best: read + count, wc -l
    rows/         one file per group of rows: which probes to run, and what to make of their answers
    numbers.py    medians, spreads, percentiles
    page.py, chart.py, profile.py   what is shown
"""
