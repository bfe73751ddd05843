"""The routes over real HTTP: what the dashboard does with them, and what they refuse."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio

from tests.conversation.scripted import HANG_GUARD
from tests.web.lab import client

# httpx leaves the generators beneath a stream to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:Async generator 'http(x|core)")


async def test_a_message_is_sent_streamed_and_answered(tmp_path: Path) -> None:
    async with client(tmp_path) as viewer, viewer.events() as events:
        assert await events.next() == ("backlog-start", {"after": 0})
        status, answer = await viewer.post("send", {"text": "say:hello"})
        assert (status, answer["ok"], answer["queued"]) == (200, True, False)
        assert (await events.until("x-optio-sent"))["text"] == "say:hello"
        await events.text("hello")


async def test_a_permission_is_approved_and_another_one_denied(tmp_path: Path) -> None:
    async with client(tmp_path) as viewer, viewer.events() as events:
        for behavior, said in (("allow", "rm-allowed"), ("deny", "rm-denied")):
            await viewer.post("send", {"text": "ask:rm"})
            asked = await events.until("session/request_permission")
            body = {"request_id": str(asked["id"]), "behavior": behavior}
            assert [each["tool"] for each in (await viewer.state())["permissions"]] == ["rm"]
            assert await viewer.post("permission", body) == (200, {"ok": True})
            await events.until("x-optio-permission-answered", behavior=behavior)
            await events.text(said)
            assert await viewer.post("permission", body) == (404, {"ok": False, "reason": "unknown-request"})


async def test_an_interrupt_and_a_steer(tmp_path: Path) -> None:
    async with client(tmp_path) as viewer, viewer.events() as events:
        await viewer.post("send", {"text": "hang"})
        await viewer.conversation.wait_state(
            *(s for s in type(viewer.conversation.state) if s.value == "running")
        )
        assert (await viewer.post("interrupt", {}))[0] == 200
        assert (await events.until("x-optio-interrupt"))["by"] == "user"
        await viewer.post("send", {"text": "hang"})
        assert (await viewer.post("steer", {"text": "say:instead"}))[0] == 200
        await events.text("instead")


async def test_a_reload_loses_nothing_and_doubles_nothing(tmp_path: Path) -> None:
    async with client(tmp_path) as viewer:
        async with viewer.events() as events:
            await viewer.post("send", {"text": "say:one"})
            await events.text("one")
            seen = events.number
        await viewer.post("send", {"text": "say:two"})
        async with viewer.events(after=seen) as again:
            assert await again.next() == ("backlog-start", {"after": seen})
            await again.text("two")
            texts = [event for event in again.seen if event.get("type") == "x-optio-sent"]
            assert [event["text"] for event in texts] == ["say:two"]
        async with viewer.events() as fresh:
            await fresh.text("two")
            assert [e["text"] for e in fresh.seen if e.get("type") == "x-optio-sent"] == [
                "say:one",
                "say:two",
            ]


async def test_two_viewers_see_the_same_and_one_that_does_not_read_costs_the_other_nothing(
    tmp_path: Path,
) -> None:
    async with client(tmp_path) as viewer, viewer.events(), viewer.events() as reading:
        for number in range(50):
            await viewer.post("send", {"text": f"say:{number}-{'x' * 1000}"})
        await reading.text(f"49-{'x' * 1000}")


async def test_the_end_is_told_and_the_stream_ends(tmp_path: Path) -> None:
    async with client(tmp_path) as viewer, viewer.events() as events:
        await viewer.conversation.close()
        await events.until("x-optio-closed")
        viewer.view.feed.note("x-optio-ended", text="done", exit_code=0)
        viewer.view.feed.end()
        await events.until("x-optio-ended")
        await events.until("x-optio-over")
        with pytest.raises(EOFError):
            await events.next()
        assert await viewer.post("send", {"text": "x"}) == (409, {"ok": False, "reason": "closed"})
        assert (await viewer.state())["state"] == "closed"


@pytest.mark.parametrize(
    ("route", "body", "status", "reason"),
    [
        ("send", {}, 400, "bad-text"),
        ("send", {"text": " "}, 400, "bad-text"),
        ("send", {"text": 1}, 400, "bad-text"),
        ("send", [], 400, "bad-json"),
        ("send", "text", 400, "bad-json"),
        ("send", {"text": "x" * 600_000}, 400, "bad-text"),
        ("permission", {"request_id": "1", "behavior": "maybe"}, 400, "bad-behavior"),
        ("permission", {"behavior": "allow"}, 400, "unknown-request"),
        ("permission", {"request_id": "none", "behavior": "allow"}, 404, "unknown-request"),
        ("answer", {"request_id": "none", "answers": None}, 404, "unknown-request"),
        ("answer", {"request_id": "none", "answers": []}, 400, "bad-answers"),
        ("control", {"value": True}, 400, "bad-id"),
        ("control", {"id": "model", "value": 3}, 400, "bad-value"),
    ],
)
async def test_a_body_that_makes_no_sense_is_refused(
    tmp_path: Path, route: str, body: Any, status: int, reason: str
) -> None:
    async with client(tmp_path) as viewer:
        assert await viewer.post(route, body) == (status, {"ok": False, "reason": reason})


async def test_controls_are_listed_set_and_told(tmp_path: Path) -> None:
    async with client(tmp_path) as viewer, viewer.events() as events:
        (mode,) = (await viewer.http.get("controls")).json()["controls"]
        assert (mode["id"], mode["value"], mode["kind"]) == ("permission_mode", "ask", "select")
        assert [option["value"] for option in mode["options"]] == ["ask", "plan", "root"]
        assert await viewer.post("control", {"id": "permission_mode", "value": "plan"}) == (200, {"ok": True})
        told = await events.until("x-optio-control-update")
        assert told["controls"][0]["value"] == "plan"
        for body, status, reason in (
            ({"id": "temperature", "value": "hot"}, 404, "unknown-control"),
            (
                {"id": "permission_mode", "value": "nonsense"},
                409,
                "rejected: scripted: permission_mode cannot be",
            ),
            ({"id": "permission_mode", "value": "root"}, 409, "rejected: scripted: not as root"),
        ):
            answer = await viewer.post("control", body)
            assert answer[0] == status
            assert answer[1]["reason"].startswith(reason)
        await viewer.conversation.close()
        assert (await viewer.http.get("controls")).status_code == 409


async def test_a_control_that_viewers_may_not_set_is_neither_listed_nor_set(tmp_path: Path) -> None:
    async with client(tmp_path, controls=["model"]) as viewer:
        assert (await viewer.http.get("controls")).json() == {"controls": []}
        body = {"id": "permission_mode", "value": "plan"}
        assert await viewer.post("control", body) == (403, {"ok": False, "reason": "not-allowed"})


async def test_what_is_no_json_object_is_refused(tmp_path: Path) -> None:
    async with client(tmp_path) as viewer:
        kind = {"content-type": "application/json"}
        for content in (b"{", b"\xff", b"[" * 200_000, b"null"):
            answer = await viewer.http.post("send", content=content, headers=kind)
            assert (answer.status_code, answer.json()["reason"]) == (400, "bad-json")
        answer = await viewer.http.post(
            "send", content=b'{"text": "x"}', headers={"content-type": "text/plain"}
        )
        assert answer.status_code == 415
        answer = await viewer.http.post("send", content=b"x" * 10_000_000, headers=kind)
        assert answer.status_code == 413


async def test_the_secret_is_needed_everywhere(tmp_path: Path) -> None:
    async with client(tmp_path) as viewer:
        wrong = "Basic " + base64.b64encode(b"optio:wrong").decode()
        for headers in ({}, {"authorization": wrong}, {"authorization": "Basic !"}, {"cookie": "a=b"}):
            async with httpx.AsyncClient(
                base_url=viewer.view.url, headers=headers, timeout=HANG_GUARD
            ) as stranger:
                for route in ("", "events", "state", "page.js", "download?path=x"):
                    assert (await stranger.get(route)).status_code == 401
                assert (await stranger.get("", params={"token": "wrong"})).status_code == 401
                assert (await stranger.post("send", json={"text": "x"})).status_code == 401


async def test_a_foreign_page_cannot_send(tmp_path: Path) -> None:
    async with client(tmp_path) as viewer:
        for headers in (
            {"origin": "https://evil.example"},
            {"origin": "null"},
            {"sec-fetch-site": "cross-site"},
        ):
            answer = await viewer.http.post("send", json={"text": "x"}, headers=headers)
            assert (answer.status_code, answer.json()["reason"]) == (403, "foreign-origin")
        own = {"origin": viewer.view.url}
        assert (await viewer.http.post("send", json={"text": "say:x"}, headers=own)).status_code == 200


async def test_the_token_becomes_a_cookie_and_the_page_has_no_foreign_resource(tmp_path: Path) -> None:
    async with client(tmp_path) as viewer, httpx.AsyncClient(timeout=HANG_GUARD) as browser:
        first = await browser.get(viewer.view.page)
        assert first.status_code == 303
        assert "httponly" in first.headers["set-cookie"].lower()
        page = await browser.get(viewer.view.url + "/")
        assert page.status_code == 200
        assert "http" not in page.text.replace("http-equiv", "")
        assert "default-src 'none'" in page.headers["content-security-policy"]
        for name in ("page.css", "page.js", "talk.js", "backends.js", "cards.js", "todos.js"):
            assert (await browser.get(f"{viewer.view.url}/{name}")).status_code == 200


async def test_downloads_stay_beneath_the_directory(tmp_path: Path) -> None:
    (tmp_path / "deliverables").mkdir()
    (tmp_path / "deliverables" / "a b.bin").write_bytes(b"\xff\x00content")
    (tmp_path / "link").symlink_to("/etc/passwd")
    async with client(tmp_path) as viewer:
        answer = await viewer.http.get("download", params={"path": "deliverables/a b.bin"})
        assert (answer.status_code, answer.content) == (200, b"\xff\x00content")
        assert answer.headers["content-disposition"] == "attachment; filename*=UTF-8''a%20b.bin"
        for path, status in (
            ("../x", 403),
            ("/etc/passwd", 403),
            ("link", 403),
            ("", 403),
            ("none", 404),
            ("deliverables", 404),
        ):
            assert (await viewer.http.get("download", params={"path": path})).status_code == status


async def test_too_many_viewers_are_refused_and_places_become_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("optio_agents.web.app.VIEWER_LIMIT", 2)
    async with client(tmp_path) as viewer:
        async with viewer.events(), viewer.events():
            assert (await viewer.http.get("events")).status_code == 503
        with trio.fail_after(HANG_GUARD):
            while (await _status(viewer)) == 503:
                await trio.lowlevel.checkpoint()


async def _status(viewer: Any) -> int:
    async with viewer.http.stream("GET", "events") as answer:
        return int(answer.status_code)
