"""SMTP accounts: no downgrade, ways to sign in, recipients one by one, what servers can't take, hostile servers."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest
import trustme

from mta.adapters.outgoing import open_account
from mta.config.tracking_schema import SmtpAccount
from mta.ports.outgoing import OutgoingMail, Sent
from mta.ports.task_errors import RefusedTaskError, TargetDownError, TaskError, TryAgainError
from tests.peers.https import HttpsServer, Request, Response
from tests.servers.faulty_hop import Conversation, faulty_hop
from tests.servers.submission import Desk, Tls, submission_server

SENDER, BOB, CAROL = "desk@example.com", "bob@example.net", "carol@example.net"
SECRET = "secret-word"
PLAIN = b"AGRlc2sAc2VjcmV0LXdvcmQ="
HEADER = f"From: {SENDER}\r\nTo: {BOB}\r\nMessage-ID: <7@example.com>\r\n"
MIME = "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n"


def mail(*recipients: str, body: str = "Done.\r\n", header: str = "", sender: str = SENDER) -> OutgoingMail:
    return OutgoingMail(sender, recipients or (BOB,), f"{HEADER}{header}\r\n{body}".encode())


@dataclass(frozen=True, slots=True)
class Place:
    """An authority, and secrets in files."""

    folder: Path
    authority: trustme.CA

    def context(self, name: str = "localhost") -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.authority.issue_cert(name).configure_cert(context)
        return context

    def account(self, port: int, mode: Tls, *, signs_in: bool = True, **more: Any) -> SmtpAccount:
        tls = {"mode": mode, **more.pop("tls", {})}
        if mode != "none":
            tls["ca_file"] = str(self.folder / "ca.pem")
        own = {"user": "desk", "password": {"file": str(self.folder / "secret")}} if signs_in else {}
        said = {"kind": "smtp", "name": "post", "host": "localhost", "port": port, "senders": [SENDER]}
        return SmtpAccount.model_validate({**said, **own, "tls": tls, "timeout": "60s", **more})

    async def send(self, account: SmtpAccount, what: OutgoingMail | None = None) -> Sent:
        opened = open_account(account, hostname="relay.example.com")
        try:
            return await opened.send(what or mail())
        finally:
            await opened.close()

    async def refused(self, account: SmtpAccount, what: OutgoingMail | None = None) -> TaskError:
        with pytest.raises(TaskError) as caught:
            await self.send(account, what)
        assert SECRET not in str(caught.value)
        return caught.value


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    folder, authority = tmp_path_factory.mktemp("accounts"), trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    (folder / "secret").write_text(f"{SECRET}\n")
    return Place(folder, authority)


# --- TLS and signing in ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["none", "starttls", "implicit"])
@pytest.mark.parametrize("signs_in", [True, False])
async def test_each_kind_of_tls_with_and_without_auth(place: Place, mode: Tls, signs_in: bool) -> None:
    desk = Desk({"desk": SECRET})
    more = {"auth_require_tls": False} if mode != "starttls" else {}
    with submission_server(desk, place.context(), tls=mode, **more) as port:
        assert await place.send(place.account(port, mode, signs_in=signs_in)) == Sent()
    (got,) = desk.submitted
    assert got.is_tls is (mode != "none")
    assert got.user == ("desk" if signs_in else "")
    assert (got.sender, got.recipients) == (SENDER, (BOB,))


async def test_starttls_that_is_not_offered_ends_it_before_anything_is_shown(place: Place) -> None:
    desk = Desk({"desk": SECRET})
    with submission_server(desk, auth_require_tls=False) as port:
        error = await place.refused(place.account(port, "starttls"))
    assert (type(error), error.reason) == (TargetDownError, "tls-failed")
    assert (desk.tried, desk.submitted) == ([], [])


async def test_a_certificate_for_another_name_ends_it(place: Place) -> None:
    desk = Desk({"desk": SECRET})
    with submission_server(desk, place.context("mail.example.com"), tls="starttls") as port:
        error = await place.refused(place.account(port, "starttls"))
        assert error.reason == "tls-failed"
        assert desk.tried == []
        named = place.account(port, "starttls", tls={"verify_name": "mail.example.com"})
        assert await place.send(named) == Sent()
    assert desk.tried == ["desk", SECRET]


async def test_a_wrong_password_is_shown_once(place: Place) -> None:
    desk = Desk({"desk": "another"})
    with submission_server(desk, place.context(), tls="starttls") as port:
        error = await place.refused(place.account(port, "starttls"))
    assert (type(error), error.reason) == (TargetDownError, "sign-in")
    assert desk.tried == ["desk", SECRET]


async def test_login_serves_where_there_is_no_plain(place: Place) -> None:
    desk = Desk({"desk": SECRET})
    with submission_server(desk, place.context(), tls="starttls", auth_exclude_mechanism=["PLAIN"]) as port:
        assert await place.send(place.account(port, "starttls")) == Sent()
    assert desk.submitted[0].user == "desk"


async def test_a_server_that_asks_for_auth_is_no_reason_to_give_the_mail_up(place: Place) -> None:
    desk = Desk({"desk": SECRET})
    with submission_server(desk, place.context(), tls="starttls", auth_required=True) as port:
        error = await place.refused(place.account(port, "starttls", signs_in=False))
    assert (type(error), error.reason) == (TargetDownError, "sign-in")


@contextmanager
def authority(place: Place, token: str) -> Iterator[dict[str, Any]]:
    """Gives `token` to whoever asks: `oauth` of an account."""

    async def answer(request: Request) -> Response:
        return Response(200, b'{"access_token": "%b", "expires_in": 3600}' % token.encode())

    with HttpsServer(answer, place.authority) as server:
        secret = {"file": str(place.folder / "secret")}
        yield {"token_url": f"{server.url}/token", "client_id": "desk", "client_secret": secret}


@pytest.mark.parametrize("is_right", [True, False])
async def test_a_token_of_any_authority(place: Place, is_right: bool) -> None:
    desk = Desk({"desk@example.com": "token-1"})
    with authority(place, "token-1" if is_right else "token-2") as oauth, \
            submission_server(desk, place.context(), tls="starttls") as port:  # fmt: skip
        account = place.account(port, "starttls", signs_in=False, user="desk@example.com", oauth=oauth)
        if is_right:
            assert await place.send(account) == Sent()
        else:
            error = await place.refused(account)
            assert (type(error), error.reason) == (TargetDownError, "sign-in")
            assert "token-2" not in str(error)
    assert desk.tried == ["desk@example.com", "token-1" if is_right else "token-2"]


# --- recipients and answers ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def desk() -> Desk:
    return Desk()


@pytest.fixture(scope="module")
def port(desk: Desk) -> Iterator[int]:
    with submission_server(desk) as port:
        yield port


@pytest.fixture(autouse=True)
def fresh(desk: Desk) -> None:
    desk.answers.clear()
    desk.submitted.clear()


async def test_those_who_are_refused_or_put_off_are_told_of(place: Place, desk: Desk, port: int) -> None:
    desk.answers |= {CAROL: "550 5.1.1 unknown", "dave@example.net": "450 4.2.1 later"}
    sent = await place.send(place.account(port, "none", signs_in=False), mail(BOB, CAROL, "dave@example.net"))
    assert sent == Sent({"dave@example.net": "450 4.2.1 later"}, {CAROL: "550 5.1.1 unknown"})
    assert desk.submitted[0].recipients == (BOB,)


@pytest.mark.parametrize(
    ("answers", "kind", "reason"),
    [
        ({BOB: "550 5.1.1 unknown"}, RefusedTaskError, "refused"),
        ({BOB: "450 4.2.1 later"}, TryAgainError, "deferred"),
        ({BOB: "550 5.1.1 unknown", CAROL: "451 4.3.0 later"}, TryAgainError, "deferred"),
        ({".": "554 5.6.0 no"}, RefusedTaskError, "refused"),
        ({".": "552 5.3.4 too large"}, RefusedTaskError, "too-large"),
        ({".": "451 4.3.0 later"}, TryAgainError, "deferred"),
        ({".": "421 4.3.2 closing"}, TargetDownError, "busy"),
    ],
)
async def test_what_answers_mean(
    place: Place, desk: Desk, port: int, answers: dict[str, str], kind: type[TaskError], reason: str
) -> None:
    desk.answers |= answers
    error = await place.refused(place.account(port, "none", signs_in=False), mail(*(set(answers) - {"."} or {BOB})))
    assert (type(error), error.reason) == (kind, reason)
    assert desk.submitted == []


# --- what servers can't take -----------------------------------------------------------------------------------------


async def test_eight_bits_are_encoded_anew_for_a_server_of_seven(place: Place) -> None:
    got = bytearray()

    def behave(conversation: Conversation) -> None:
        conversation.greet("SIZE 1000000")
        for answer in ("250 ok", "250 ok", "354 go on"):
            conversation.hear()
            conversation.say(answer)
        while (line := conversation.hear()) != ".":
            got.extend(line.encode("latin-1") + b"\r\n")
        conversation.say("250 ok")

    with faulty_hop(behave) as port:
        subject = "Subject: na\u00efve\r\n"
        text = mail(body="na\u00efve \u20ac\r\n", header=MIME + subject)
        await place.send(place.account(port, "none", signs_in=False), text)
    assert got.isascii()
    assert message_from_bytes(got, policy=policy.default).get_content().splitlines() == ["na\u00efve \u20ac"]


async def test_addresses_beyond_ascii_go_where_the_server_has_smtputf8(place: Place) -> None:
    desk = Desk()
    with submission_server(desk, enable_SMTPUTF8=True) as port:
        await place.send(place.account(port, "none", signs_in=False), mail("j\u00f6rg@example.net", BOB))
    assert desk.submitted[0].recipients == ("j\u00f6rg@example.net", BOB)
    assert "SMTPUTF8" in desk.submitted[0].options


async def test_addresses_beyond_ascii_are_refused_where_it_has_not(place: Place, desk: Desk, port: int) -> None:
    account = place.account(port, "none", signs_in=False)
    sent = await place.send(account, mail("j\u00f6rg@example.net", BOB))
    assert sent.refused == {"j\u00f6rg@example.net": "the server has no SMTPUTF8"}
    error = await place.refused(account, mail(sender="b\u00fcro@example.com"))
    assert (type(error), error.reason) == (RefusedTaskError, "unsendable")


# --- servers that go wrong -------------------------------------------------------------------------------------------


def after_data(end: Callable[[Conversation], None]) -> Callable[[Conversation], None]:
    def behave(conversation: Conversation) -> None:
        conversation.greet()
        for answer in ("250 ok", "250 ok", "354 go on"):
            conversation.hear()
            conversation.say(answer)
        while conversation.hear() != ".":
            pass
        end(conversation)

    return behave


def repeat_secret(conversation: Conversation) -> None:
    conversation.greet("AUTH PLAIN")
    conversation.hear()
    conversation.say(f"535 5.7.8 I don't like {PLAIN.decode()}")


@pytest.mark.parametrize(
    ("behaviour", "kind", "reason"),
    [
        pytest.param(after_data(Conversation.reset), TryAgainError, "outcome-unknown", id="reset-after-data"),
        pytest.param(after_data(lambda _: None), TryAgainError, "outcome-unknown", id="end-after-data"),
        pytest.param(Conversation.reset, TargetDownError, "unreachable", id="reset"),
        pytest.param(lambda c: c.say("554 no service"), TargetDownError, "bad-answer", id="unwelcome"),
        pytest.param(lambda c: c.say("421 later"), TargetDownError, "busy", id="busy"),
        pytest.param(lambda c: c.say("HTTP/1.1 400 Bad Request"), TargetDownError, "bad-answer", id="another-protocol"),
        pytest.param(lambda c: c.raw(b"220-" + b"x" * 10_000_000), TargetDownError, "", id="endless-line"),
        pytest.param(lambda c: [c.say("220-more") for _ in range(10**6)], TargetDownError, "", id="endless-lines"),
        pytest.param(repeat_secret, TargetDownError, "sign-in", id="echo"),
    ],
)
async def test_servers_that_go_wrong(
    place: Place, behaviour: Callable[[Conversation], None], kind: type[TaskError], reason: str
) -> None:
    with faulty_hop(behaviour) as port:
        error = await place.refused(place.account(port, "none", signs_in=behaviour is repeat_secret, timeout="60s"))
    assert type(error) is kind
    assert not reason or error.reason == reason
    assert PLAIN.decode() not in str(error)
    assert len(error.detail) < 400


@pytest.mark.parametrize(
    ("behaviour", "kind", "reason", "timeout"),
    [
        pytest.param(Conversation.wait, TargetDownError, "timeout", "1s", id="no-greeting"),
        pytest.param(after_data(Conversation.wait), TryAgainError, "outcome-unknown", "2s", id="after-data"),
    ],
)
async def test_servers_that_say_nothing(
    place: Place, behaviour: Callable[[Conversation], None], kind: type[TaskError], reason: str, timeout: str
) -> None:
    with faulty_hop(behaviour) as port:
        error = await place.refused(place.account(port, "none", signs_in=False, timeout=timeout))
    assert (type(error), error.reason) == (kind, reason)
