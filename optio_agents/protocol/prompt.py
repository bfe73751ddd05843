"""The documentation that agents are given, made from the table of keywords."""

from __future__ import annotations

import textwrap
from functools import cache

from optio_agents.protocol.features import DEFAULT_FEATURES, ProtocolFeatures
from optio_agents.protocol.keywords import Keyword, enabled_keywords

RESUME_NOTICE = "you have been resumed"
"""What an agent is told (as a `System:` message) when its session goes on after an interruption."""

_WIDTH = 110

_LOG_CHANNEL = """\
## Log channel

A harness runs you and follows the file `./optio.log` in the directory in which you were started. It is how
you report on your work, while you work. The file exists already: append lines to it, and never truncate,
rewrite, move or delete it.

- One line says one thing. Behind the last character of each line stands a newline, or the line is not read
  yet: `echo "..." >> ./optio.log` and `printf '%s\\n' "..." >> ./optio.log` write it, most file-editing
  tools do not. To check, run `tail -c 1 ./optio.log`. If that prints anything but an empty line, the
  newline is missing, and `echo >> ./optio.log` adds it.
- A keyword counts only at the very beginning of a line, in capitals, exactly as it is spelled here: no
  indentation, no quotes, no list mark, no bold type and no time stamp before it.
- A line without a keyword is shown as plain progress. Empty lines are ignored.

These are the keywords:
"""

_NO_BROWSER = """
It is impossible to launch a browser here: every attempt is ignored, and nobody would see the window. Where a
page must be opened, put its address into your report or ask for help with ATTENTION.
"""

_DELIVERABLES = """
## Deliverables

Files that somebody is to receive from you go into the directory `./deliverables/`, which exists already.

1. Write the file completely: a regular file of UTF-8 text, in `./deliverables/` or in a directory beneath
   it, not a link to some other place.
2. Announce it with a DELIVERABLE line. Announce only what is finished, and announce it once.
3. Wait for the reply. There is exactly one for each announcement; it names the file, and says either that the
   file is accepted or what is wrong with it.
4. If something is wrong, put it right and announce the file again. That announcement gets its own reply.

Write DONE only when you have the reply to each deliverable and none of them asks for anything more.
"""

_MESSAGES = f"""
## Messages from the harness

A message on your input channel that begins with `System:` comes from the harness, not from the person you
work for. `System: deliverable report.md: accepted`, for instance, is the reply to a deliverable. Do what
such a message asks, in its order of arrival, and then go on with your work; it needs no answer.

If such a message says that {RESUME_NOTICE}, your session was interrupted and now goes on in the same
directory. The log starts afresh, so look at what you have, announce again each deliverable whose acceptance
you have not seen, and continue where you stopped.
"""


@cache  # twelve texts at the most; each session asks for one of them
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
    # Examples stay on one line each, however long: an agent copies what it sees.
    examples = (f"  - For example, `{example.line}` {example.effect}." for example in keyword.examples)
    return "\n".join((meaning, *examples))


LOG_CHANNEL_PROMPT = build_log_channel_prompt()
"""The documentation for the default features."""
