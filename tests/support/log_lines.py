"""Hypothesis strategies for lines of a log: near the grammar, where the mistakes are."""

from hypothesis import strategies as st

from optio_agents.protocol.features import ProtocolFeatures
from optio_agents.protocol.keywords import KEYWORDS

any_features = st.builds(
    ProtocolFeatures, st.sampled_from(["ignore", "suppress", "redirect"]), st.booleans(), st.booleans()
)

_KEYWORDS = [text for keyword in KEYWORDS for text in (keyword.name, keyword.name + ":")]
_EXAMPLES = [example.line for keyword in KEYWORDS for example in keyword.examples]
_SPACES = [" ", "\t", "\u00a0", "\u2003", "\u3000", "\x1c", "\x0b"]
_FRAGMENTS = [":", "50%", "7% ", "k", "{", "}", '{"a": 1}', "D", "E", "DON", "e", "s", "x"]
_ODD = ["\u2022", "\u4e2d", "\u00fc", "\u00e2", "\x00", "\ufeff"]

_pieces = st.sampled_from(_KEYWORDS + _EXAMPLES + _SPACES + _FRAGMENTS + _ODD)
_noise = st.text(st.characters(exclude_characters="\n\r"), max_size=3)

log_lines = st.lists(_pieces | _noise, max_size=5).map("".join)
r"""Lines without `\n` and `\r`, mostly made of keywords, white space and their fragments."""
