"""The page in a real browser, against the whole program."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from optio_agents.cli.exit_codes import ExitCode
from tests.web.page_lab import shown_run, viewer

pytestmark = pytest.mark.browser

STREAM = ["stream", "One ", "two ", "three."]


def test_a_message_is_typed_streamed_and_answered(browser: Browser, tmp_path: Path) -> None:
    with shown_run(browser, tmp_path) as viewer:
        expect(viewer.messages("agent")).to_have_text(["I am here."])
        viewer.say(STREAM, ["tool", "Bash", {"command": "make"}], ["hang"])
        # The pieces and the whole text that follows them are one message.
        expect(viewer.messages("agent")).to_have_text(["I am here.", "One two three."])
        expect(viewer.messages("tool")).to_have_text(["Bash make"])
        # The agent says each message again when it takes it up.
        expect(viewer.messages("user")).to_have_count(2)
        expect(viewer.page.locator("#state")).to_have_text("running")


def test_a_permission_is_approved_and_another_one_denied(browser: Browser, tmp_path: Path) -> None:
    with shown_run(browser, tmp_path) as viewer:
        for button, answer in (("Allow", '"behavior": "allow"'), ("Deny", '"behavior": "deny"')):
            viewer.say(["ask", "Bash", {"command": "rm -r build"}])
            expect(viewer.card).to_contain_text("rm -r build")
            viewer.press(button)
            expect(viewer.messages("agent").last).to_contain_text(answer)
            expect(viewer.card).to_have_count(0)


def test_a_question_is_answered(browser: Browser, tmp_path: Path) -> None:
    with shown_run(browser, tmp_path) as viewer:
        viewer.say(["question"])
        expect(viewer.card).to_contain_text("DB: Which db?")
        viewer.press("Answer")
        expect(viewer.messages("error")).to_contain_text("answer: bad-answers")
        viewer.page.get_by_label("SQLite").check()
        viewer.press("Answer")
        expect(viewer.messages("agent").last).to_contain_text('"Which db?": "SQLite"')
        expect(viewer.card).to_have_count(0)


def test_a_turn_is_interrupted(browser: Browser, tmp_path: Path) -> None:
    with shown_run(browser, tmp_path) as viewer:
        expect(viewer.page.get_by_role("button", name="Interrupt")).to_be_disabled()
        viewer.say(["hang"])
        viewer.press("Interrupt")
        expect(viewer.messages("note")).to_contain_text(["interrupted"])
        expect(viewer.page.locator("#state")).to_have_text("idle")
        viewer.say(["text", "Next."])
        expect(viewer.messages("agent").last).to_have_text("Next.")


def test_a_reload_in_the_middle_loses_nothing_and_doubles_nothing(browser: Browser, tmp_path: Path) -> None:
    with shown_run(browser, tmp_path) as viewer:
        viewer.say(STREAM, ["ask", "Bash", {"command": "make"}], ["text", "Four."])
        expect(viewer.card).to_have_count(1)
        before = viewer.talk.inner_text()
        viewer.page.reload()
        expect(viewer.card).to_have_count(1)
        expect(viewer.talk).to_have_text(before, use_inner_text=True)
        viewer.press("Allow")
        expect(viewer.messages("agent").last).to_have_text("Four.")
        expect(viewer.messages("agent").filter(has_text="One two three.")).to_have_count(1)


def test_two_viewers_see_the_same_and_one_of_them_answers(browser: Browser, tmp_path: Path) -> None:
    with (
        shown_run(browser, tmp_path) as one,
        viewer(browser, one.run, one.run.events[-1]["url"]) as two,
    ):
        one.say(["ask", "Bash", {"command": "make"}])
        expect(one.card).to_have_count(1)
        expect(two.card).to_have_count(1)
        two.press("Allow")
        expect(one.card).to_have_count(0)
        expect(one.messages("note")).to_have_text(["permission: allow"])
        expect(two.talk).to_have_text(one.talk.inner_text(), use_inner_text=True)


def test_what_the_run_delivers_and_how_it_ends_is_shown(browser: Browser, tmp_path: Path) -> None:
    with shown_run(browser, tmp_path) as viewer:
        viewer.say(
            ["log", "STATUS: 40% Reading"],
            ["log", "ATTENTION: look at this"],
            ["file", "deliverables/report.md", "# Report\n"],
            ["log", "DELIVERABLE: deliverables/report.md"],
        )
        expect(viewer.page.locator("#message")).to_contain_text("report.md")
        expect(viewer.page.locator("#bar")).to_have_attribute("value", "40")
        expect(viewer.page.get_by_role("alert")).to_have_text("look at this")
        with viewer.page.expect_download() as started:
            viewer.page.get_by_role("link", name="report.md").click()
        assert Path(started.value.path()).read_text() == "# Report\n"
        viewer.say(["log", "DONE: all is well"])
        expect(viewer.messages("done")).to_contain_text("all is well")
        expect(viewer.page.locator("#state")).to_have_text("ended")
        expect(viewer.page.locator("#form")).to_be_hidden()
        assert viewer.run.finish() == ExitCode.DONE


def test_hostile_text_is_text(browser: Browser, tmp_path: Path) -> None:
    hostile = "<img src=x onerror=alert(1)><script>alert(2)</script>"
    with shown_run(browser, tmp_path) as viewer:
        viewer.page.on("dialog", lambda dialog: viewer.problems.append(dialog.message))
        viewer.say(["text", hostile], ["tool", hostile, {"a": hostile}], ["ask", hostile, {hostile: hostile}])
        expect(viewer.card).to_contain_text(hostile)
        expect(viewer.messages("agent").last).to_have_text(hostile)
        assert viewer.page.locator("#talk img, #talk script, .card img").count() == 0


def test_nothing_is_wider_than_a_phone(browser: Browser, tmp_path: Path) -> None:
    with shown_run(browser, tmp_path, viewport={"width": 390, "height": 844}) as viewer:
        long = "x" * 500
        viewer.say(["text", long], ["tool", "Bash", {"command": long}], ["log", f"STATUS: {long}"])
        expect(viewer.page.locator("#message")).to_have_text(long)
        viewer.say(["ask", long, {"command": long}])
        expect(viewer.card).to_have_count(1)
        assert viewer.page.evaluate("document.documentElement.scrollWidth") == 390
