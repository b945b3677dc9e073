"""Who signs in, who is refused and why, who is over a rate; certificates taken up."""

from __future__ import annotations

from mta.events.log import emit


def signed_in(listener: str, *, client: str, account: str) -> None:
    emit("info", "signed-in", listener=listener, client=client, account=account)


def sign_in_failed(listener: str, *, client: str, account: str, reason: str) -> None:
    """`account` only where there is one of that name: people type passwords in the wrong place."""
    emit("warning", "sign-in-failed", listener=listener, client=client, account=account, reason=reason)


def client_refused(
    listener: str, *, client: str, account: str, certificate: str, missing: str, reply: str
) -> None:  # fmt: skip
    """None of the listener's `clients`; `missing` says for each of them what this one lacks."""
    emit(
        "warning", "client-refused", listener=listener, client=client, account=account, certificate=certificate,
        missing=missing, reply=reply,
    )  # fmt: skip


def sender_refused(listener: str, *, client: str, admitted_as: str, sender: str, where: str) -> None:
    """Whom the client may not send as; `where` is reverse-path or header."""
    emit(
        "warning", "sender-refused", listener=listener, client=client, admitted_as=admitted_as, sender=sender,
        where=where,
    )  # fmt: skip


def foreign_tenant(listener: str, *, client: str, queue_id: str, found: str) -> None:
    """A message that is not our tenant's, or can't be told to be."""
    emit("warning", "foreign-tenant", queue_id=queue_id, listener=listener, client=client, found=found)


def over_rate(listener: str, *, client: str, account: str, what: str, limit: str) -> None:
    """Said once a minute for each client and limit."""
    emit("warning", "over-rate", listener=listener, client=client, account=account, what=what, limit=limit)


def credentials_renewed(where: str, *, certificate: str, expires: str, accounts: int | None) -> None:
    """Changed files of a listener or next hop are in use, without a reload."""
    emit(
        "info", "credentials-renewed", where=where, certificate=certificate, expires=expires, accounts=accounts
    )  # fmt: skip


def credentials_refused(where: str, *, error: str) -> None:
    """Changed files can't be used; what was read before stays in use."""
    emit("error", "credentials-refused", where=where, error=error)


def recipient_unverified(*, recipient: str, next_hop: str, reason: str) -> None:
    """It could not be found out whether there is such a recipient, so it was accepted. Once a minute for a next hop."""
    emit("warning", "recipient-unverified", recipient=recipient, next_hop=next_hop, reason=reason)


def takes_everybody(next_hop: str, *, domain: str) -> None:
    """The next hop says yes to any recipient of that domain, so asking it is of no use."""
    emit("warning", "takes-everybody", next_hop=next_hop, domain=domain)
