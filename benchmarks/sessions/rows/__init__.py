"""The groups of rows: each module has `measure(bench)`, which returns JSON, and `show(measured)`, for the page."""
