"""The webhook sink over sockets: what it sends, what each answer means, and answers that nobody should give."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
import trustme

from mta.adapters.records import open_sink
from mta.config.tracking_schema import WebhookSink
from mta.ports.record_sink import SinkCall
from mta.ports.task_errors import RefusedTaskError, TargetDownError, TaskError, TryAgainError
from tests.peers.https import HttpsServer, Request, Response
from tests.servers.faulty_hop import Conversation, faulty_hop
from tests.servers.wait import free_port

KEY = b"0123456789abcdef0123456789abcdef"
BODY = json.dumps({"event": "created", "record": {"title": "na\u00efve \u20ac"}}).encode()
CALL = SinkCall("call-1", BODY)
DOCUMENTATION = Path(__file__).parents[4] / "docs/tracking.md"


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DESK_KEY", KEY.decode())


def sink(url: str, **more: object) -> WebhookSink:
    return WebhookSink.model_validate(
        {"name": "desk", "kind": "webhook", "url": url, "key": {"env": "DESK_KEY"}, "timeout": "60s", **more}
    )


async def told(settings: WebhookSink, call: SinkCall = CALL) -> None:
    opened = open_sink(settings)
    try:
        await opened.call(call)
    finally:
        await opened.close()


async def refused(settings: WebhookSink) -> TaskError:
    with pytest.raises(TaskError) as caught:
        await told(settings)
    return caught.value


@contextmanager
def server(answer: Callable[[Request], Response], folder: Path) -> Iterator[tuple[str, Path, list[Request]]]:
    """Its URL, its authority, and what it was asked."""
    authority, asked = trustme.CA(), list[Request]()
    (ca := folder / "ca.pem").write_bytes(authority.cert_pem.bytes())

    async def handle(request: Request) -> Response:
        asked.append(request)
        return answer(request)

    with HttpsServer(handle, authority) as running:
        yield f"{running.url}/hook?secret=1", ca, asked


async def test_the_request_can_be_verified_as_the_documentation_shows(tmp_path: Path) -> None:
    example = re.search(r"```python\n(import hashlib.*?)```", DOCUMENTATION.read_text(), re.DOTALL)
    assert example is not None
    shown: dict[str, Callable[[bytes, dict[str, str], bytes], bool]] = {}
    exec(example[1], shown)
    with server(lambda _: Response(204), tmp_path) as (url, ca, asked):
        await told(sink(url, tls={"ca_file": str(ca)}))
    (request,) = asked
    headers = {name: request.headers[name.lower()] for name in ("X-Stampline-Timestamp", "X-Stampline-Signature")}
    verify = shown["is_from_stampline"]
    assert verify(KEY, headers, request.body)
    assert not verify(KEY, headers, request.body + b" ")
    assert not verify(KEY[::-1], headers, request.body)
    later = {**headers, "X-Stampline-Timestamp": str(int(headers["X-Stampline-Timestamp"]) + 1)}
    assert not verify(KEY, later, request.body)
    old = {**headers, "X-Stampline-Timestamp": str(int(headers["X-Stampline-Timestamp"]) - 400)}
    assert not verify(KEY, old, request.body)
    assert request.body == BODY
    assert (request.method, request.target) == ("POST", "/hook?secret=1")
    assert request.headers["content-type"] == "application/json"
    assert request.headers["idempotency-key"] == '"call-1"'
    assert request.headers["user-agent"].startswith("stampline")


@pytest.mark.parametrize("given", ["", 'say "hi"', "caf\u00e9", "a\r\nX-Other: 1", "x" * 300, "\udcff"])
async def test_any_key_can_be_sent(given: str, tmp_path: Path) -> None:
    with server(lambda _: Response(), tmp_path) as (url, ca, asked):
        for _ in range(2):
            await told(sink(url, tls={"ca_file": str(ca)}), SinkCall(given, BODY))
    first, second = (request.headers["idempotency-key"] for request in asked)
    assert first == second
    assert re.fullmatch(r'"[0-9a-f]{64}"', first)
    assert "x-other" not in asked[0].headers


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        *((status, None) for status in (200, 201, 202, 204, 226)),
        *((status, RefusedTaskError) for status in (400, 401, 403, 404, 405, 410, 413, 415, 422, 431, 451)),
        *((status, TryAgainError) for status in (408, 409, 425, 500, 501, 505, 511)),
        *((status, TargetDownError) for status in (301, 302, 303, 304, 307, 308, 429, 502, 503, 504)),
    ],
)
async def test_what_answers_mean(status: int, kind: type[TaskError] | None, tmp_path: Path) -> None:
    elsewhere = {"Location": "file:///etc/passwd"} if 300 <= status < 400 else {}
    with server(lambda _: Response(status, headers=elsewhere), tmp_path) as (url, ca, asked):
        settings = sink(url, tls={"ca_file": str(ca)})
        if kind is None:
            await told(settings)
        else:
            error = await refused(settings)
            assert type(error) is kind
            assert error.reason == ("redirected" if 300 <= status < 400 else f"status-{status}")
            assert "secret" not in str(error)
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("120", 120), (" 7 ", 7), ("0", 0), ("Fri, 01 Jan 1999 00:00:00 GMT", 0), ("99999999999999", 86400)],
)
async def test_a_pause_that_is_asked_for(value: str, seconds: int, tmp_path: Path) -> None:
    with server(lambda _: Response(503, headers={"Retry-After": value}), tmp_path) as (url, ca, _):
        error = await refused(sink(url, tls={"ca_file": str(ca)}))
    assert error.retry_after == timedelta(seconds=seconds)


@pytest.mark.parametrize("value", ["", "soon", "-1", "1.5", "\u0661", "9" * 5000, "Fri, 99 Foo 9999 99:99:99 GMT"])
async def test_a_pause_that_cannot_be_read_is_none(value: str, tmp_path: Path) -> None:
    answer = Response(503, headers={"Retry-After": value.encode().decode("latin-1")})
    with server(lambda _: answer, tmp_path) as (url, ca, _):
        error = await refused(sink(url, tls={"ca_file": str(ca)}))
    assert error.retry_after is None or error.retry_after >= timedelta(0)


async def test_a_certificate_that_nobody_vouches_for_ends_it(tmp_path: Path) -> None:
    with server(lambda _: Response(), tmp_path) as (url, _, asked):
        error = await refused(sink(url))
    assert (type(error), error.reason) == (TargetDownError, "tls-failed")
    assert asked == []


# --- answers that nobody should give ----------------------------------------------------------------------------------

OK = "HTTP/1.1 200 OK\r\n"


def take(conversation: Conversation) -> None:
    """Read the request."""
    length = 0
    while line := conversation.hear():
        name, _, value = line.partition(":")
        if name.lower() == "content-length":
            length = int(value)
    conversation.read(length)


def says(text: str) -> Callable[[Conversation], None]:
    def behave(conversation: Conversation) -> None:
        take(conversation)
        conversation.raw(text.encode("latin-1"))

    return behave


def for_ever(piece: bytes, first: str = "") -> Callable[[Conversation], None]:
    def behave(conversation: Conversation) -> None:
        take(conversation)
        conversation.raw(first.encode())
        while True:
            conversation.raw(piece)

    return behave


def nothing(conversation: Conversation) -> None:
    take(conversation)
    conversation.wait()


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        pytest.param(says("SSH-2.0-OpenSSH\r\n"), "bad-answer", id="another-protocol"),
        pytest.param(says(""), "bad-answer", id="nothing"),
        pytest.param(says("HTTP/1.1 abc\r\n\r\n"), "bad-answer", id="no-status"),
        pytest.param(for_ever(b"X-More: " + b"x" * 60_000 + b"\r\n", OK), "bad-answer", id="endless-header"),
        pytest.param(for_ever(b"x" * 60_000), "bad-answer", id="endless-status-line"),
        pytest.param(nothing, "timeout", id="silence"),
        pytest.param(for_ever(b"HTTP/1.1 103 Early Hints\r\n\r\n"), "timeout", id="endless-hints"),
        pytest.param(lambda conversation: conversation.reset(), "unreachable", id="reset"),
    ],
)
async def test_no_answer_ends_in_time_and_in_words(behaviour: Callable[[Conversation], None], reason: str) -> None:
    with faulty_hop(behaviour) as port:
        timeout = "1s" if reason == "timeout" else "60s"
        error = await refused(sink(f"http://127.0.0.1:{port}/secret", timeout=timeout))
    assert error.reason == reason
    assert not isinstance(error, RefusedTaskError)
    assert "secret" not in str(error)


@pytest.mark.parametrize(
    "behaviour",
    [
        pytest.param(for_ever(b"x" * 60_000, f"{OK}Content-Length: 99999999999\r\n\r\n"), id="endless-body"),
        pytest.param(says(f"{OK}Content-Length: 10\r\n\r\nabc"), id="body-that-breaks-off"),
        pytest.param(says(f"{OK}Content-Length: 10\r\nContent-Encoding: gzip\r\n\r\nabcdefghij"), id="not-gzip"),
        pytest.param(says(f"{OK}Transfer-Encoding: chunked\r\n\r\nzz\r\n"), id="bad-chunks"),
    ],
)
async def test_a_success_is_one_whatever_its_body(behaviour: Callable[[Conversation], None]) -> None:
    with faulty_hop(behaviour) as port:
        await told(sink(f"http://127.0.0.1:{port}/", timeout="60s"))


async def test_nobody_there() -> None:
    error = await refused(sink(f"http://127.0.0.1:{free_port()}/"))
    assert (type(error), error.reason) == (TargetDownError, "unreachable")


async def test_no_proxy_of_the_surroundings_is_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    with server(lambda _: Response(), tmp_path) as (url, ca, asked):
        await told(sink(url, tls={"ca_file": str(ca)}))
    assert len(asked) == 1
