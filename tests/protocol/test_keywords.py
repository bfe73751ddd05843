from optio_agents.protocol.features import ALL_FEATURES, DEFAULT_FEATURES
from optio_agents.protocol.keywords import KEYWORDS, enabled_keywords


def test_the_order_is_the_contracts() -> None:
    assert [keyword.name for keyword in enabled_keywords(ALL_FEATURES)] == [
        "STATUS",
        "DELIVERABLE",
        "DONE",
        "ERROR",
        "BROWSER",
        "ATTENTION",
        "CLIENT_MESSAGE",
        "CALLER_MESSAGE",
    ]
    assert [keyword.name for keyword in enabled_keywords(DEFAULT_FEATURES)] == [
        "STATUS",
        "DELIVERABLE",
        "DONE",
        "ERROR",
        "ATTENTION",
    ]


def test_no_line_fits_two_keywords() -> None:
    """The parser looks a name up; that is the same as trying in order only while no name begins another."""
    names = [keyword.name for keyword in KEYWORDS]
    assert not [(one, other) for one in names for other in names if one != other and other.startswith(one)]


def test_only_the_keywords_that_end_the_log_stand_alone() -> None:
    assert [keyword.name for keyword in KEYWORDS if keyword.bare] == ["DONE", "ERROR"]
