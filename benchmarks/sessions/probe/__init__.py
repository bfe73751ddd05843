"""One measurement, inside the Python of the measured package.

Nothing here imports anything of this checkout but `benchmarks.sessions.probe` itself: `optio_agents` is the one that is
installed in the interpreter, the published package or ours. Trio is imported only where Trio is measured.
"""
