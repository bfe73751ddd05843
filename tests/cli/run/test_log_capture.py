import logging

import trio
import trio.testing

from optio_agents.cli.run.log_capture import shown_diagnostics
from optio_agents.session.events import ProblemReported


async def test_what_is_logged_is_shown_whichever_thread_it_comes_from() -> None:
    shown: list[ProblemReported] = []
    logger = logging.getLogger("some.part")
    with shown_diagnostics(shown.append):
        logger.info("not worth it")
        logger.warning("number %d", 1)
        try:
            raise KeyError("x")
        except KeyError:
            logger.exception("it broke")
        await trio.to_thread.run_sync(logger.warning, "from a thread")
        await trio.testing.wait_all_tasks_blocked()
    logger.warning("afterwards")
    assert [problem.text for problem in shown] == ["number 1", "it broke: KeyError('x')", "from a thread"]
