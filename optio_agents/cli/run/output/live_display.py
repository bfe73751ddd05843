"""Drawing the live display: a pure function from the view to rich renderables."""

from __future__ import annotations

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from optio_agents.cli.durations import clock
from optio_agents.cli.exit_codes import ExitCode
from optio_agents.cli.run.output.events import RunEnded
from optio_agents.cli.run.output.live_view import RunView
from optio_agents.cli.run.output.plain_text import headline

BAR_WIDTH = 48
"""The widest that the bar gets, in columns."""

TYPED_WIDTH = 240
"""How many characters of a line that is being typed are shown, the last ones."""

_GOOD, _BAD, _CALL = "green", "red", "yellow"

_MARKS = {"good": "✔", "bad": "✘", "call": "▲", "note": "·"}
_ASCII = {"good": "+", "bad": "x", "call": "!", "note": "-"}


class Display:
    """The view, drawn again whenever the console renders it. Also for a narrow or an ASCII-only terminal."""

    def __init__(self, view: RunView) -> None:
        self.view = view
        self.elapsed = 0.0
        self._spinner = Spinner("dots", style="cyan")
        self._plain_spinner = Spinner("line", style="cyan")

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        spinner = self._plain_spinner if options.ascii_only else self._spinner
        yield render(self.view, self.elapsed, spinner=spinner, marks=_ASCII if options.ascii_only else _MARKS)


def render(
    view: RunView, elapsed: float, *, spinner: RenderableType, marks: dict[str, str] | None = None
) -> RenderableType:
    """The display at `elapsed` seconds into the run; `spinner` shows that it is running."""
    marks = marks or _MARKS
    parts: list[RenderableType] = []
    if view.ended is None:
        parts += [_head(view, elapsed, spinner), _bar(view), _status(view)]
    if view.attention is not None:
        parts.append(_whole(marks["call"], "needs you: ", view.attention, f"bold {_CALL}"))
    if view.browser is not None:
        parts.append(_whole(marks["call"], "open: ", view.browser, _CALL))
    if view.deliverables:
        parts += [Text(), _deliverables(view, marks)]
    parts += [_line(marks["note"], "", note, "dim") for note in view.notes]
    if view.ended is not None:
        parts.append(_bar(view))
    elif view.typed or (view.typed is not None and view.attention is not None):
        hint = "" if view.typed else "type an answer; Enter sends it"
        parts.append(_whole(">", "", view.typed[-TYPED_WIDTH:] or hint, "" if view.typed else "dim"))
    return Group(*parts)


def render_end(ended: RunEnded, *, ascii_only: bool = False) -> Text:
    """The outcome, wrapped and never cut. It is printed last, below the last frame."""
    marks = _ASCII if ascii_only else _MARKS
    good = ended.code is ExitCode.DONE
    return _whole(marks["good" if good else "bad"], "", headline(ended), f"bold {_GOOD if good else _BAD}")


def _head(view: RunView, elapsed: float, spinner: RenderableType) -> RenderableType:
    row = Table.grid(padding=(0, 1))
    row.add_row(
        spinner,
        Text(view.title, style="bold", overflow="ellipsis", no_wrap=True),
        Text(clock(elapsed), style="dim"),
    )
    return row


def _bar(view: RunView) -> RenderableType:
    over = view.ended is not None
    good = view.ended is not None and view.ended.code is ExitCode.DONE
    row = Table.grid(padding=(0, 1))
    share = 100 if good else view.percent
    row.add_row(
        Text(" "),
        ProgressBar(
            total=100,
            completed=share or 0,
            width=BAR_WIDTH,
            pulse=share is None and not over,
            complete_style=_GOOD if good else _BAD if over else "cyan",
            finished_style=_GOOD if good or not over else _BAD,
        ),
        Text("" if share is None else f"{share:.0f}%"),
    )
    return row


def _status(view: RunView) -> RenderableType:
    if view.ending is not None:
        return _line(" ", "ending the agent: ", f"{view.ending} (Ctrl-C: kill it at once)", _CALL)
    return _line(" ", "", view.message, "")


def _deliverables(view: RunView, marks: dict[str, str]) -> RenderableType:
    table = Table.grid(padding=(0, 1))
    if view.more_deliverables:
        table.add_row(Text(" "), Text(f"{view.more_deliverables} more before", style="dim"), Text())
    for line in view.deliverables.values():
        style = _GOOD if line.accepted else _BAD
        table.add_row(
            Text(marks["good" if line.accepted else "bad"], style=style),
            Text(line.path, overflow="ellipsis", no_wrap=True),
            Text(line.verdict, style="dim" if line.accepted else style, overflow="ellipsis", no_wrap=True),
        )
    return table


def _line(mark: str, label: str, text: str, style: str) -> Text:
    """One line that is cut rather than wrapped, so that the display keeps its height."""
    return Text.assemble(
        (f"{mark} ", style), (label, style), (text, style), overflow="ellipsis", no_wrap=True
    )


def _whole(mark: str, label: str, text: str, style: str) -> Text:
    """A text that is wrapped and not cut, because it must be complete: an address, a reason, a question."""
    return Text.assemble((f"{mark} ", style), (label, style), (text, style), overflow="fold")
