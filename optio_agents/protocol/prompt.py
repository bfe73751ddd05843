"""The protocol's documentation for agents, generated from the table of keywords."""

from __future__ import annotations

import textwrap
from functools import cache

from optio_agents.protocol.features import DEFAULT_FEATURES, ProtocolFeatures
from optio_agents.protocol.keywords import Keyword, enabled_keywords

RESUME_NOTICE = "you have been resumed"
"""Part of the `System:` message that an agent gets when its session resumes after an interruption."""

_WIDTH = 110

_LOG_CHANNEL = """\
## Log channel

A harness started you. It reads the file `./optio.log` in the directory in which you were started. Report your
progress in this file while you work. The file already exists. Append lines to it. Never truncate, rewrite, move or
delete the file.

- Write one message per line and end every line with a newline. An unterminated line is not read.
  `echo "..." >> ./optio.log` and `printf '%s\\n' "..." >> ./optio.log` write the newline; most file-editing tools do
  not. To check, run `tail -c 1 ./optio.log`. If it prints anything but an empty line, the newline is missing:
  run `echo >> ./optio.log` to add it.
- A keyword counts only at the very beginning of a line, in capitals, exactly as it is spelled here. Write no
  indentation, quotes, list marker, bold type or time stamp before it.
- A line without a keyword is shown as plain progress. Empty lines are ignored.

These are the keywords:
"""

_NO_BROWSER = """
It is impossible to launch a browser here: every attempt is ignored, and no person would see the window. If a page
must be opened, put its address into your report or ask for help with ATTENTION.
"""

_DELIVERABLES = """
## Deliverables

Put the files you deliver into the directory `./deliverables/`, which already exists.

1. Write the complete file, in `./deliverables/` or in a directory beneath it. It must be a regular file, not a link
   to another place. Write text as UTF-8. Deliver other content (an image, a PDF, an archive) only if
   your task asks for it.
2. Announce it with a DELIVERABLE line. Announce only finished files, and announce each one once.
3. Wait for the reply. There is exactly one reply to each announcement. It names the file and says either that the
   file is accepted or what is wrong with it.
4. If something is wrong, correct it and announce the file again. You get a reply to that announcement as well.

Write DONE only when you have the reply to each deliverable and no reply asks for anything more.
"""

_MESSAGES = f"""
## Messages from the harness

A message on your input channel that begins with `System:` comes from the harness, not from the person you work
for. The message `System: deliverable report.md: accepted` is a typical reply to a deliverable. Do what these messages
ask, in the order in which they arrive, then continue with your work. Do not answer them.

If such a message says that {RESUME_NOTICE}, your session was interrupted and now continues in the same directory. The
log is empty again. Check which files you have. Announce again each deliverable for which you have not seen a reply
that accepts it. Then continue where you stopped.
"""


@cache  # at most twelve texts; each session needs one of them
def build_log_channel_prompt(features: ProtocolFeatures = DEFAULT_FEATURES) -> str:
    """Write the documentation of the protocol, as Markdown, for an agent's instructions.

    Args:
        features: only the keywords that these enable are documented.
    """
    keywords = "\n".join(map(_entry, enabled_keywords(features)))
    no_browser = _NO_BROWSER if features.browser == "suppress" else ""
    return f"{_LOG_CHANNEL}\n{keywords}\n{no_browser}{_DELIVERABLES}{_MESSAGES}"


def _entry(keyword: Keyword) -> str:
    forms = " or ".join(f"`{form}`" for form in keyword.forms)
    meaning = textwrap.fill(
        f"- {forms}: {keyword.meaning}",
        _WIDTH,
        subsequent_indent="  ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    # Each example stays on one line, however long: agents copy what they see.
    examples = (f"  - For example, `{example.line}` {example.effect}." for example in keyword.examples)
    return "\n".join((meaning, *examples))


LOG_CHANNEL_PROMPT = build_log_channel_prompt()
"""The documentation for the default features."""
