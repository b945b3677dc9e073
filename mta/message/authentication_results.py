"""The header field Authentication-Results (RFC 8601): writing our own, reading a gateway's."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mta.message.domain_names import NAME_MAX, is_host_name
from mta.message.fields import HeaderField
from mta.message.parse import Message
from mta.model.address import domain_key
from mta.model.authentication import AuthenticationResults, SignatureResult

NAME = "Authentication-Results"
EXCHANGE_ONLINE = "exchange-online"
"""Stands in the configuration for fields without an authserv-id, as Exchange Online writes them."""
FIELD_OCTETS_MAX = 20_000
WORDS = frozenset({"pass", "fail", "softfail", "neutral", "none", "policy", "temperror", "permerror"})

_ON_TOP = re.compile(rb"Authentication-Results: ((?:[^\r]|\r\n[ \t])*)\r\n")
_FOLD = "\r\n\t"
_BASE64 = re.compile(r"[A-Za-z0-9+/=]{1,16}\Z")
_TOKEN = re.compile(r'"((?>(?:[^"\\]|\\.)*))"?|\(|\)|;|=|[^\s"();=]+|\\.?', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_OTHER_WORDS = {"hardfail": "fail", "error": "temperror", "bestguesspass": "none"}


def write_field(results: AuthenticationResults, authserv_id: str) -> bytes:
    """Our field, folded, CRLF at its end. Nothing of the message stands in it but checked domain names."""
    return f"{NAME}: {written_results(results, authserv_id)}\r\n".encode("ascii")


def written_results(results: AuthenticationResults, authserv_id: str) -> str:
    """The field's value: authserv-id and results, folded."""
    said = [_spf(results), *(_dkim(each) for each in results.signatures)]
    if results.dkim and not results.signatures:
        said.append(f"dkim={results.dkim}" + "".join(f" header.d={name}" for name in _hosts(*results.dkim_domains)[:1]))
    said += [_dmarc(results), f"arc={results.arc}" if results.arc else ""]
    said = [each for each in said if each]
    return f";{_FOLD}".join([authserv_id, *(said or ["none"])])


def results_on_top(trace: bytes) -> bytes | None:
    """The value of our own field, where it stands on top of a copy's trace; folded, without its last CRLF."""
    match = _ON_TOP.match(trace)
    return match[1] if match else None


def _reason(results: AuthenticationResults, method: str) -> str:
    words = next((words for name, words in results.reasons if name == method), "")
    return f' reason="{words}"' if words else ""


def _hosts(*names: str) -> list[str]:
    return [name for name in names if is_host_name(name)]


def _spf(results: AuthenticationResults) -> str:
    if not results.spf:
        return ""
    scope = "helo" if results.spf_of_helo else "mailfrom"
    about = "".join(f" smtp.{scope}={name}" for name in _hosts(results.spf_domain))
    return f"spf={results.spf}{_reason(results, 'spf')}{about}"


def _dkim(signature: SignatureResult) -> str:
    said = f"dkim={signature.result}"
    if signature.reason:
        said += f' reason="{signature.reason}"'
    if signature.domain:
        said += f"{_FOLD}header.d={signature.domain} header.s={signature.selector}"
    if signature.algorithm:
        said += f" header.a={signature.algorithm}"
    if _BASE64.match(signature.start):
        said += f' header.b="{signature.start}"'
    return said


def _dmarc(results: AuthenticationResults) -> str:
    if not results.dmarc:
        return ""
    policy = f" polrec.p={results.dmarc_policy}" if results.dmarc_policy else ""
    about = "".join(f" header.from={name}" for name in _hosts(results.dmarc_domain))
    return f"dmarc={results.dmarc}{_reason(results, 'dmarc')}{policy}{about}"


@dataclass(frozen=True, slots=True)
class StatedResult:
    """One result in a field: `properties` such as `header.d`, in lower case."""

    method: str
    result: str
    properties: dict[str, str]


@dataclass(frozen=True, slots=True)
class StatedResults:
    """A field as it was read; `authserv_id` is in lower case, "" where there is none."""

    authserv_id: str
    results: tuple[StatedResult, ...]


def read_field(value: bytes) -> StatedResults | None:
    """Read a field's value, tolerantly; None where it is too long to be one."""
    if len(value) > FIELD_OCTETS_MAX:
        return None
    pieces = _pieces(value.decode("utf_8", "replace"))
    authserv_id = ""
    if pieces and "=" not in pieces[0]:
        authserv_id = pieces[0][0].lower() if pieces[0] else ""
        pieces = pieces[1:]
    return StatedResults(authserv_id, tuple(each for piece in pieces if (each := _stated(piece)) is not None))


def _pieces(text: str) -> list[list[str]]:
    """The words between semicolons; comments are left out, `=` is a word of its own."""
    pieces: list[list[str]] = [[]]
    depth = 0
    for match in _TOKEN.finditer(text):
        word = match[0]
        if word == "(":
            depth += 1
        elif word == ")":
            depth = max(0, depth - 1)
        elif depth:
            continue
        elif word == ";":
            pieces.append([])
        elif match[1] is not None:
            pieces[-1].append(_ESCAPED.sub(r"\1", match[1]))
        else:
            pieces[-1].append(word)
    return pieces


def _stated(words: list[str]) -> StatedResult | None:
    pairs = [(words[at - 1].lower(), words[at + 1]) for at in range(1, len(words) - 1) if words[at] == "="]
    if not pairs:
        return None
    method, result = pairs[0][0].partition("/")[0], pairs[0][1].lower()
    properties: dict[str, str] = {}
    for name, text in pairs[1:]:
        properties.setdefault(name, text)
    return StatedResult(method, _OTHER_WORDS.get(result, result), properties)


def fields_of(message: Message, authserv_ids: frozenset[str]) -> list[HeaderField]:
    """The fields that claim to be of one of these servers (lower case), from the top down (§5).

    One that is too long to be read may be anybody's: others may read it.
    """
    found = []
    for field in message.fields_named(NAME):
        stated = read_field(message.raw(field))
        if stated is None or stated.authserv_id in authserv_ids:
            found.append(field)
    return found


def stated_results(message: Message, trusted_ids: frozenset[str]) -> AuthenticationResults:
    """What the topmost field of a trusted server says; empty results where there is none."""
    ids = frozenset("" if name == EXCHANGE_ONLINE else name for name in trusted_ids)
    fields = fields_of(message, ids)
    return read_results(message.raw(fields[0])) if fields else AuthenticationResults()


def failed_authentication(trace: bytes, domain: str) -> bool:
    """Whether our own results on top of a trace say that the mail is not of the sender that it names.

    `domain` is the reverse-path's domain key, which SPF is about; only a signature that vouches for it excuses SPF.
    """
    value = results_on_top(trace)
    if value is None or (b"spf=fail" not in value and b"dmarc=fail" not in value):  # so we write it; most have neither
        return False
    results = read_results(value)
    return results.dmarc == "fail" or (results.spf == "fail" and not results.vouches_for(domain))


def proved_reverse_path(trace: bytes, domain: str) -> bool:
    """Whether our own results on top of a trace say that SPF lets the client send for the reverse-path's domain.

    `domain` is its domain key.
    """
    value = results_on_top(trace)
    if value is None:
        return False
    results = read_results(value)
    return results.spf == "pass" and not results.spf_of_helo and results.spf_domain == domain


def read_results(value: bytes) -> AuthenticationResults:
    """What a field's value says; empty results where it is too long to be read."""
    stated = read_field(value)
    if stated is None:
        return AuthenticationResults()
    by_method: dict[str, list[StatedResult]] = {}
    for each in stated.results:
        if each.result in WORDS:
            by_method.setdefault(each.method, []).append(each)
    spf, dmarc, arc = (next(iter(by_method.get(method, ())), None) for method in ("spf", "dmarc", "arc"))
    signatures = tuple(
        SignatureResult(each.result, _domain(each, "header.d", "header.i"), _selector(each))
        for each in by_method.get("dkim", ())
    )
    holding = tuple(dict.fromkeys(each.domain for each in signatures if each.result == "pass" and each.domain))
    return AuthenticationResults(
        spf=spf.result if spf else "",
        dkim=_best(signatures),
        dmarc=dmarc.result if dmarc else "",
        arc=arc.result if arc else "",
        spf_domain=_domain(spf, "smtp.mailfrom", "smtp.mail", "smtp.helo") if spf else "",
        dkim_domains=holding,
        dmarc_domain=_domain(dmarc, "header.from") if dmarc else "",
        spf_of_helo=spf is not None and "smtp.helo" in spf.properties and "smtp.mailfrom" not in spf.properties,
        signatures=signatures,
    )


def _best(signatures: tuple[SignatureResult, ...]) -> str:
    found = [each.result for each in signatures]
    return "pass" if "pass" in found else next(iter(found), "")


def _domain(stated: StatedResult, *names: str) -> str:
    text = next((stated.properties[name] for name in names if name in stated.properties), "")
    written = text.rpartition("@")[2]
    domain = domain_key(written) if len(written) <= NAME_MAX else ""
    return domain if is_host_name(domain) else ""


def _selector(stated: StatedResult) -> str:
    text = stated.properties.get("header.s", "")
    return text if is_host_name(text) else ""
