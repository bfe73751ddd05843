"""The line that is typed at the live display, from bytes of the keyboard: no input, no output."""

from __future__ import annotations

import codecs
import re

LINE_LIMIT = 64 * 1024
"""Characters of a line; what is typed beyond that is ignored."""

_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|O.|[^\[O])?")
_UNFINISHED = re.compile(r"\x1b(?:\[[0-?]*[ -/]*|O)?\Z")
_ERASE, _ERASE_WORD, _ERASE_LINE = "\x7f\b", "\x17", "\x15"


class TypedLine:
    """One line being typed. Backspace, Ctrl-W and Ctrl-U erase; arrow and function keys do nothing.

    Attributes:
        text: the line so far.
    """

    def __init__(self) -> None:
        self.text = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""

    def feed(self, data: bytes) -> list[str]:
        """Handle input from the keyboard; return the completed lines, without empty ones."""
        lines = []
        text = self._rest + self._decoder.decode(data)
        cut = _UNFINISHED.search(text)
        self._rest = "" if cut is None else text[cut.start() :][:64]
        for character in _SEQUENCE.sub("", text if cut is None else text[: cut.start()]):
            if character in "\r\n":
                lines.append(self.text)
                self.text = ""
            elif character in _ERASE:
                self.text = self.text[:-1]
            elif character == _ERASE_WORD:
                self.text = self.text.rstrip().rpartition(" ")[0]
            elif character == _ERASE_LINE:
                self.text = ""
            elif (character.isprintable() or character == "\t") and len(self.text) < LINE_LIMIT:
                self.text += character
        return [line for line in lines if line.strip()]
