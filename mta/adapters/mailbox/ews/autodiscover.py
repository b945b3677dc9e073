"""Autodiscover (MS-OXWSADISC, the SOAP kind): where a domain's mailboxes have their EWS.

Only over HTTPS with a certificate that is believed, as sign-ins go along: the domain's own web server and the unsigned
redirection over HTTP, which Outlook tries too, are not asked.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import dns.exception
import dns.resolver
from lxml import etree

from mta.adapters.mailbox.ews.calls import parsed
from mta.adapters.mailbox.ews.connection import Connections
from mta.adapters.mailbox.ews.names import AUTODISCOVER, element, tag
from mta.model.printable import in_a_line
from mta.ports.mailbox import EndpointDownError, MailboxError, NoMailboxError, TlsFailedError

_PATH = "/autodiscover/autodiscover.svc"
_ACTION = f"{AUTODISCOVER}/Autodiscover/GetUserSettings"
_REDIRECTS = 3
_KEPT_S = 3600.0
_FAILED_S = 60.0
_MOST_DOMAINS = 1000
_DNS_S = 5.0
_NO_HOST = frozenset("/\\:@?#[]% \t\r\n")
"""Would make another address of `https://autodiscover.DOMAIN/`."""
_ELSEWHERE = frozenset({"RedirectAddress", "InvalidUser", "InvalidDomain"})


class Autodiscover:
    """Remembers each domain's answer for an hour, a failure for a minute; one question for a domain at a time."""

    def __init__(self, url: str, connect: Callable[[str], Connections]) -> None:
        """`url` is asked for all domains, unless it is ""."""
        self._url = url
        self._connect = connect
        self._lock = threading.Lock()
        self._asking: dict[str, threading.Lock] = {}
        self._known: OrderedDict[str, tuple[float, str | MailboxError]] = OrderedDict()

    def ews_url(self, mailbox: str) -> str:
        """Raises NoMailboxError, EndpointDownError, TlsFailedError, SignInError, EndpointBusyError."""
        domain = mailbox.rpartition("@")[2].lower()
        if "@" not in mailbox or not domain or not _NO_HOST.isdisjoint(domain):
            raise NoMailboxError("autodiscover", "the address has no domain that could be asked")
        with self._lock:
            lock = self._asking.setdefault(domain, threading.Lock())
        with lock:
            answer = self._remembered(domain)
            if answer is None:
                answer = self._ask(mailbox, domain)
                self._remember(domain, answer)
        if isinstance(answer, MailboxError):
            raise type(answer)(answer.code, answer.detail, retry_after=answer.retry_after)
        return answer

    def _remembered(self, domain: str) -> str | MailboxError | None:
        with self._lock:
            until, answer = self._known.get(domain, (0.0, ""))
        return answer if until > time.monotonic() else None

    def _remember(self, domain: str, answer: str | MailboxError) -> None:
        if isinstance(answer, NoMailboxError):
            return  # of this mailbox, not of its domain
        kept_s = _FAILED_S if isinstance(answer, MailboxError) else _KEPT_S
        with self._lock:
            self._known[domain] = time.monotonic() + kept_s, answer
            self._known.move_to_end(domain)
            while len(self._known) > _MOST_DOMAINS:
                forgotten, _ = self._known.popitem(last=False)
                self._asking.pop(forgotten, None)

    def _ask(self, mailbox: str, domain: str) -> str | MailboxError:
        """Each place in turn; who answers without knowing the mailbox has the last word."""
        failure: MailboxError = EndpointDownError("autodiscover", f"no place of {in_a_line(domain, 100)} answers")
        for place in self._places(domain):
            try:
                return self._ask_at(place, mailbox)
            except NoMailboxError as exc:
                return exc
            except (EndpointDownError, TlsFailedError) as exc:
                failure = exc
            except MailboxError as exc:  # a wrong password is wrong everywhere
                return exc
        return failure

    def _places(self, domain: str) -> Iterator[str]:
        if self._url:
            yield self._url
            return
        yield f"https://autodiscover.{domain}{_PATH}"
        yield from (f"https://{place}{_PATH}" for place in _service_places(domain))

    def _ask_at(self, place: str, mailbox: str) -> str:
        for _ in range(_REDIRECTS + 1):
            connections = self._connect(place)
            try:
                content = connections.post(
                    _question(place, mailbox), {"X-AnchorMailbox": mailbox}, changes=False
                ).content
            finally:
                connections.close()
            is_final, url = _answer(content, mailbox)
            if urlsplit(url).scheme != "https" or not urlsplit(url).hostname:
                raise EndpointDownError("autodiscover", "it names an address without HTTPS")
            if is_final:
                return url
            place = url
        raise EndpointDownError("autodiscover", f"more than {_REDIRECTS} redirections")


def _service_places(domain: str) -> list[str]:
    """Hosts and ports of the SRV record; only below the domain itself, as sign-ins go there and DNS may lie."""
    try:
        found = dns.resolver.resolve(f"_autodiscover._tcp.{domain}", "SRV", lifetime=_DNS_S)
    except (dns.exception.DNSException, OSError, ValueError):
        return []
    places = sorted(
        (each.priority, -each.weight, each.target.to_text(omit_final_dot=True), each.port) for each in found
    )
    return [f"{host}:{port}" for _, _, host, port in places if f".{host.lower()}".endswith(f".{domain}")][:4]


def _question(place: str, mailbox: str) -> bytes:
    request = element(
        "a:Request",
        element("a:Users", element("a:User", element("a:Mailbox", mailbox))),
        element("a:RequestedSettings", element("a:Setting", "ExternalEwsUrl"), element("a:Setting", "InternalEwsUrl")),
    )
    envelope = element(
        "s:Envelope",
        element(
            "s:Header",
            element("a:RequestedServerVersion", "Exchange2013_SP1"),
            element("wsa:Action", _ACTION),
            element("wsa:To", place),
        ),
        element("s:Body", element("a:GetUserSettingsRequestMessage", request)),
    )
    content: bytes = etree.tostring(envelope, encoding="utf-8", xml_declaration=True)
    return content


def _answer(content: bytes, mailbox: str) -> tuple[bool, str]:
    """The URL, and whether it is that of EWS; else one to ask again at."""
    root = parsed(content)
    user = None if root is None else root.find(f".//{tag('a:UserResponse')}")
    if user is None:
        raise EndpointDownError("autodiscover", "it answers what is no Autodiscover")
    code = in_a_line(user.findtext(tag("a:ErrorCode"), ""), 60)
    target = user.findtext(tag("a:RedirectTarget"), "").strip()
    if code == "RedirectUrl":
        return False, target
    if code in _ELSEWHERE:
        raise NoMailboxError(code, in_a_line(f"redirects to {target}" if target else mailbox, 200))
    if code != "NoError":
        raise EndpointDownError(code or "autodiscover", "Autodiscover does not tell")
    settings = {
        setting.findtext(tag("a:Name"), ""): setting.findtext(tag("a:Value"), "").strip()
        for setting in user.iter(tag("a:UserSetting"))
    }
    url = settings.get("ExternalEwsUrl") or settings.get("InternalEwsUrl")
    if not url:
        raise EndpointDownError(
            "autodiscover", "Autodiscover names no address of EWS: set ExternalUrl there, or url here"
        )
    return True, url
