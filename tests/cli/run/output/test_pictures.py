"""What a run looks like at a terminal: `make pictures` makes the picture of the docs."""

from __future__ import annotations

import inspect
import io
import os
import re
from pathlib import Path

from rich.console import Console

from optio_agents.cli.run.output.live_display import Display
from optio_agents.cli.run.output.live_view import RunView
from optio_agents.protocol.rejections import RejectionKind
from optio_agents.session.events import AttentionAsked, DeliverableSettled, ProgressReported
from optio_agents.session.outcome import DeliverableRecord

EVENTS = (
    ProgressReported(65, "Comparing the totals"),
    DeliverableSettled(DeliverableRecord("totals.csv", True, "accepted", size=48_230)),
    DeliverableSettled(
        DeliverableRecord("report.pdf", False, "there is no such file", RejectionKind.MISSING)
    ),
    AttentionAsked("The March file has two headers. Use the first or the second?"),
)


def test_a_run_at_a_terminal(tmp_path: Path) -> None:
    view = RunView("agent.sh")
    for event in EVENTS:
        view.apply(event)
    view.typed = "the second"
    console = Console(
        width=76,
        record=True,
        force_terminal=True,
        color_system="truecolor",
        file=io.StringIO(),
        emoji=False,
        highlight=False,
    )
    display = Display(view)
    display.elapsed = 42.0
    console.print("[bold]$[/] optio-agents run --deliverables out -- ./agent.sh")
    console.print(display)
    # Without the fonts that rich's own picture loads from elsewhere.
    form = inspect.signature(console.save_svg).parameters["code_format"].default
    form = re.sub(r"@font-face \{\{.*?\}\}\s*|<!--.*?-->\s*", "", form, flags=re.DOTALL)
    picture = Path(os.environ.get("PICTURES", tmp_path)) / "terminal-run.svg"
    console.save_svg(str(picture), title="optio-agents", code_format=form, unique_id="run")
    content = picture.read_text().replace("&#160;", " ")
    for text in ("65%", "totals.csv", "report.pdf", "needs you", "the second"):
        assert text in content, text
    assert "://" not in content.replace("http://www.w3.org/2000/svg", "")
