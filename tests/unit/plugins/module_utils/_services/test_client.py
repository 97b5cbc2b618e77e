"""The client of the vendors' APIs: what it repeats, how long it waits, what it says of a refusal."""

from __future__ import annotations

import json
import threading
import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._core.http_client import Answer
from ansible_collections.nexod.infra.plugins.module_utils._services import client as clients
from ansible_collections.nexod.infra.plugins.module_utils._services.client import Client
from ansible_collections.nexod.infra.plugins.module_utils._services.vendor import Vendor, message_of, wait_of
from ansible_collections.nexod.infra.plugins.module_utils._services.vendors import by_link, by_offset, by_time
from ansible_collections.nexod.infra.tests.fixtures.clock import Instantly

NOW = 1_800_000_000.0
LIMIT = Answer(429, "", "", {"retry-after": "7"})
DOWN = Answer(503, "<html>busy</html>")
GOOD = Answer(200, '[{"id": 1}]')
LOST = Answer(0, "", "its answer was cut off")


class Wire:
    """Answers in the order of the requests; the last one is repeated."""

    def __init__(self, *answers: Answer) -> None:
        self.answers, self.sent, self.lock = list(answers), t.cast("list[str]", []), threading.Lock()

    def __call__(self, url: str, *, method: str = "GET", **_more: t.Any) -> Answer:
        with self.lock:
            self.sent.append(f"{method} {url.removeprefix('https://box.test')}")
            return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def client(monkeypatch: pytest.MonkeyPatch, *answers: Answer, **options: t.Any) -> tuple[Client, Wire, Instantly]:
    wire, clock = Wire(*answers), Instantly(NOW)
    monkeypatch.setattr(clients, "ask", wire)
    vendor = Vendor("Box", "https://box.test", "BOX_TOKEN", "box.test/tokens", by_offset, {"limit": 2})
    return Client(vendor, "canary", clock=clock, **options), wire, clock


@pytest.mark.parametrize(
    ("method", "answers", "requests", "seconds"),
    [
        pytest.param("GET", [GOOD], 1, 0, id="at once"),
        pytest.param("GET", [LIMIT, GOOD], 2, 7, id="a limit"),
        pytest.param("POST", [LIMIT, LIMIT, GOOD], 3, 14, id="a limit, which says that nothing was made"),
        pytest.param("GET", [DOWN, LOST, GOOD], 3, 3, id="down"),
        pytest.param("PATCH", [LOST, GOOD], 2, 1, id="a change that may be repeated"),
    ],
)
def test_what_passes_by_itself_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, method: str, answers: list[Answer], requests: int, seconds: float
) -> None:
    box, wire, clock = client(monkeypatch, *answers)
    done = box.get("/boxes") if method == "GET" else box.send(method, "/boxes", {})
    assert (done, len(wire.sent), clock.now) == ([{"id": 1}], requests, seconds)
    assert [one.status for one in box.requests] == [one.status for one in answers]


@pytest.mark.parametrize(
    ("method", "answer", "requests", "says"),
    [
        ("GET", Answer(401, '{"message": "bad token"}'), 1, "HTTP 401: bad token.\nCheck BOX_TOKEN: it is missing"),
        ("GET", Answer(403, "{}"), 1, "HTTP 403.\nCheck that the token in BOX_TOKEN may do this"),
        ("POST", Answer(402, "{}"), 1, "needs another plan at Box"),
        ("POST", Answer(409, '{"detail": "slug taken"}'), 1, "HTTP 409: slug taken.\nCorrect the declaration"),
        ("GET", Answer(410, ""), 1, "Box has removed this part of its API"),
        ("GET", DOWN, 5, "HTTP 503, 5 times.\nCheck that https://box.test can be reached, and the status page of Box"),
        ("POST", LOST, 1, "no complete answer (its answer was cut off).\nCheck that https://box.test can be reached"),
        ("POST", DOWN, 1, "Whether it was done is unknown; the next run finds out."),
        ("GET", Answer(429, "", "", {"retry-after": "3600"}), 1, "HTTP 429.\nRun again in 3600 s"),
        ("GET", Answer(200, "<html>"), 1, "'<html>' is not JSON.\nCheck that https://box.test is the API of Box"),
    ],
)
def test_what_is_refused(
    monkeypatch: pytest.MonkeyPatch, method: str, answer: Answer, requests: int, says: str
) -> None:
    box, wire, clock = client(monkeypatch, answer)
    with pytest.raises(InfraError) as raised:
        box.get("/boxes") if method == "GET" else box.send(method, "/boxes", {})
    assert says in str(raised.value)
    assert f"{method} /boxes of Box" in str(raised.value)
    assert len(wire.sent) == requests
    assert clock.now < clients.PATIENCE
    assert "canary" not in repr(raised.value.report())


def test_who_was_sent_away_does_not_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    box, wire, clock = client(monkeypatch, LIMIT, GOOD)
    monkeypatch.setattr(clients, "ATTEMPTS", 1)
    with pytest.raises(InfraError):
        box.get("/boxes")
    with pytest.raises(InfraError, match="Run again in 7 s"):
        box.get("/crates")
    assert (len(wire.sent), clock.now) == (1, 0)


@pytest.mark.parametrize("answer", [Answer(401, ""), LOST, DOWN, Answer(429, "", "", {"retry-after": "9"})])
def test_a_vendor_that_is_down_is_not_hammered(monkeypatch: pytest.MonkeyPatch, answer: Answer) -> None:
    box, wire, _clock = client(monkeypatch, answer)
    faults: list[str] = []

    def read(number: int) -> None:
        try:
            box.get(f"/boxes/{number}")
        except InfraError as error:
            faults.append(str(error))

    readers = [threading.Thread(target=read, args=(number,)) for number in range(8)]
    for one in readers:
        one.start()
    for one in readers:
        one.join()
    assert len(faults) == 8
    assert len(wire.sent) <= clients.LANES * clients.ATTEMPTS


def test_what_is_read_is_read_once_until_something_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    box, wire, _clock = client(monkeypatch, GOOD)
    assert box.get("/boxes") == box.get("/boxes") == box.rows("/crates")
    box.rows("/crates")
    assert wire.sent == ["GET /boxes", "GET /crates?limit=2"]
    box.send("PATCH", "/boxes", {})
    box.get("/boxes")
    box.refresh()
    box.get("/boxes")
    assert wire.sent[2:] == ["PATCH /boxes", "GET /boxes", "GET /boxes"]


def test_check_mode_sends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    box, wire, _clock = client(monkeypatch, GOOD, check=True)
    with pytest.raises(InfraError, match="this is check mode"):
        box.send("POST", "/boxes", {})
    assert wire.sent == []


def test_what_is_not_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    box, _wire, _clock = client(monkeypatch, Answer(404, '{"message": "not found"}'))
    assert box.get("/boxes/1") is None
    assert box.send("DELETE", "/boxes/1", missing=(404,)) is None
    with pytest.raises(InfraError, match="HTTP 404"):
        box.rows("/boxes")


@pytest.mark.parametrize(
    ("answer", "seconds"),
    [
        (Answer(429, "", "", {"retry-after": "12"}), 12),
        (Answer(429, "", "", {"retry-after": "Fri, 15 Jan 2027 08:00:30 GMT"}), 30),
        (Answer(429, "", "", {"retry-after": "soon"}), None),
        (Answer(429, "", "", {"x-ratelimit-reset": str(NOW + 20)}), 20),
        (Answer(429, "", "", {"x-ratelimit-reset": "20"}), 20),
        (Answer(429, "", "", {"x-sentry-rate-limit-reset": str(NOW + 5)}), 5),
        (Answer(429, json.dumps({"error": {"limit": {"reset": NOW + 9}}})), 9),
        (Answer(429, json.dumps({"error": {"limit": {"reset": (NOW + 9) * 1000}}})), 9),
        (Answer(429, '{"error": "limit"}'), None),
        (Answer(429, "[]", "", {"x-ratelimit-reset": str(NOW - 20)}), 0),
        (Answer(503, ""), None),
    ],
)
def test_when_to_ask_again(answer: Answer, seconds: float | None) -> None:
    assert wait_of(answer, NOW) == seconds


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ('{"message": "No."}', "No."),
        ('{"error": {"code": "forbidden", "message": "Not authorized"}}', "Not authorized"),
        ('{"errors": [{"code": "x", "message": "short", "long_message": "the whole story"}]}', "the whole story"),
        ('{"detail": {"code": "x", "message": "deep"}}', "deep"),
        ('{"slug": ["Enter a slug."], "name": ["Too long."]}', "slug: Enter a slug.; name: Too long."),
        ('{"inputs": {"password": ["Too long."], "user": "No."}}', "inputs.password: Too long.; inputs.user: No."),
        (
            '{"inputs": {"ssh_key_data": ["Invalid certificate or key: canary\\nof a key..."]}}',
            "inputs.ssh_key_data: Invalid certificate or key",
        ),
        ("<html><body>502</body></html>", ""),
        ("upstream  connect\nerror", "upstream connect error"),
        ("", ""),
    ],
)
def test_what_the_vendor_says(body: str, says: str) -> None:
    assert message_of(Answer(400, body)) == says


@pytest.mark.parametrize(
    ("pages", "where", "answer", "following"),
    [
        (by_offset, "/a?limit=2", Answer(200, "[1, 2]"), "/a?limit=2&offset=2"),
        (by_offset, "/a?limit=2&offset=2", Answer(200, '{"data": [1, 2], "total_count": 9}'), "/a?limit=2&offset=4"),
        (by_offset, "/a?limit=2&offset=2", Answer(200, "[1]"), ""),
        (by_offset, "/a", Answer(200, "[1]"), ""),
        (by_time, "/a?teamId=t", Answer(200, '{"envs": [1], "pagination": {"next": 17}}'), "/a?teamId=t&until=17"),
        (by_time, "/a", Answer(200, '{"envs": [1], "pagination": {"next": null}}'), ""),
        (by_time, "/a", Answer(200, '{"envs": [1]}'), ""),
        (
            by_link,
            "/a?project=1",
            Answer(
                200,
                "[1]",
                "",
                {
                    "link": '<https://s/a?cursor=0:0:1>; rel="previous"; results="false"; cursor="0:0:1", '
                    '<https://s/a?cursor=0:100:0>; rel="next"; results="true"; cursor="0:100:0"'
                },
            ),
            "/a?project=1&cursor=0%3A100%3A0",
        ),
        (
            by_link,
            "/a",
            Answer(200, "[1]", "", {"link": '<https://s/a?cursor=0:100:0>; rel="next"; results="false"'}),
            "",
        ),
    ],
)
def test_how_a_list_goes_on(pages: t.Any, where: str, answer: Answer, following: str) -> None:
    assert pages(where, answer).following == following


KEYLESS = Answer(401, '{"message": "unknown"}')


@pytest.mark.parametrize(
    ("answers", "statuses", "refused"),
    [
        pytest.param([GOOD], [200], "", id="the first, which is the new one"),
        pytest.param([KEYLESS, GOOD], [401, 200], "Box refuses the first 1 of 2 in BOX_TOKEN", id="the other one"),
        pytest.param(
            [Answer(403, '{"error": {"invalidToken": true}}'), GOOD], [403, 200], "Box refuses", id="Vercel's"
        ),
        pytest.param([Answer(403, "{}")], [403], None, id="a token that may not do this"),
        pytest.param([KEYLESS], [401, 401], None, id="neither"),
    ],
)
def test_two_tokens_while_one_replaces_the_other(
    monkeypatch: pytest.MonkeyPatch, answers: list[Answer], statuses: list[int], refused: str | None
) -> None:
    box, _wire, _clock = client(monkeypatch, *answers)
    both = Client(box.vendor, "canary old", clock=Instantly(NOW))
    if refused is None:
        with pytest.raises(InfraError) as raised:
            both.send("POST", "/boxes", {})
        assert "canary" not in repr(raised.value.report())
        assert (", to each of 2 tokens" in str(raised.value)) is (statuses[-1] == 401)
    else:
        both.send("POST", "/boxes", {})
        assert both.refused_tokens.startswith(refused)
        assert bool(both.refused_tokens) is bool(refused)
    assert [one.status for one in both.requests] == statuses
    if refused:
        # The one that was refused is not tried again.
        both.get("/boxes")
        assert [one.status for one in both.requests] == [*statuses, 200]


def test_a_list_that_never_ends_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    box, wire, _clock = client(monkeypatch, Answer(200, "[1, 2]"))
    with pytest.raises(InfraError, match="has not ended after 200 pages"):
        box.rows("/boxes")
    assert len(wire.sent) == clients.MOST_PAGES
