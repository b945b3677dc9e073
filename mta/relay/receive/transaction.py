"""MAIL and RCPT: the envelope of a message."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mta import events
from mta.model.envelope import Client
from mta.model.reply import Reply
from mta.relay.receive import replies
from mta.relay.receive.clients import judge_mail, judge_recipient
from mta.relay.receive.commands import CommandError, MailArguments, parse_mail, parse_recipient
from mta.relay.receive.incoming import TOO_LARGE
from mta.relay.receive.renewal import take_up_settings

if TYPE_CHECKING:
    from mta.relay.receive.session import RelaySession

_OVERSHOOT_MAX = 1000


async def mail(session: RelaySession, argument: str) -> None:
    """Begin a transaction. A reload of the configuration is taken up here."""
    client = session.client
    if client is None:
        session.refuse(replies.NEEDS_HELO)
        return
    if session.mail is not None:
        session.refuse(replies.NESTED_MAIL)
        return
    if session.settings is not session.listener.settings and not take_up_settings(session):
        return
    settings, client = session.settings, session.client or client
    if session.is_balancer and not settings.policy.may_connect(session.ip):
        session.refuse(replies.NOT_ALLOWED)  # it may only see whether we are well
        return
    try:
        arguments = parse_mail(argument, esmtp=client.esmtp, smtputf8_offered=settings.smtputf8)
    except CommandError as exc:
        session.refuse_by(exc.reply)
        return
    if arguments.size_octets > settings.size_octets:
        session.refuse_by(TOO_LARGE)
        return
    refusal = await _judge(session, client, arguments)
    if refusal is not None:
        session.answer(refusal)
        return
    await session.reset()  # of a transaction that failed in the midst of its chunks
    session.mail = arguments
    session.say(replies.SENDER_OK)


async def _judge(session: RelaySession, client: Client, arguments: MailArguments) -> Reply | None:
    refusal = judge_mail(session, arguments.reverse_path)
    if refusal is not None:
        return refusal
    asked = session.listener.receiver.mail(session.client or client, arguments.reverse_path, arguments.size_octets)
    return await session.ask(asked)


async def rcpt(session: RelaySession, argument: str) -> None:
    """Add a recipient, if the listener relays to it."""
    arguments, client, settings = session.mail, session.client, session.settings
    if arguments is None or client is None:
        session.refuse(replies.NEEDS_MAIL)
        return
    if session.chunks is not None:
        session.refuse(replies.MESSAGE_HAS_BEGUN)
        return
    try:
        recipient, dsn = parse_recipient(
            argument, postmaster=settings.postmaster, esmtp=client.esmtp, smtputf8=arguments.smtputf8
        )
    except CommandError as exc:
        session.refuse_by(exc.reply)
        return
    if recipient.key in session.recipients:
        _answer_surplus(session, replies.RECIPIENT_OK)
        return
    if len(session.recipients) >= settings.recipients:
        _answer_surplus(session, replies.TOO_MANY_RECIPIENTS)
        return
    refusal = settings.policy.judge_recipient(recipient) or judge_recipient(session)
    if refusal is None:
        refusal = await session.ask(session.listener.receiver.rcpt(client, arguments.reverse_path, recipient))
    if refusal is None:
        session.recipients[recipient.key] = recipient
        if dsn is not None:
            session.dsn[recipient.key] = dsn
        session.say(replies.RECIPIENT_OK)
        return
    events.recipient_refused(
        settings.name, client=session.ip, sender=sender(arguments), recipient=str(recipient), reply=str(refusal)
    )
    session.answer(refusal)


def _answer_surplus(session: RelaySession, reply: bytes) -> None:
    """Recipients over the limit, or named again. A client that keeps to the limit's reply (RFC 5321 §4.5.3.1.10) sends
    the rest again; one that does not is counted from some point on."""
    session.overshoot += 1
    if session.overshoot > _OVERSHOOT_MAX:
        session.refuse(replies.TOO_MANY_RECIPIENTS)
    else:
        session.say(reply)


def sender(arguments: MailArguments) -> str:
    """The reverse-path as logs show it."""
    return str(arguments.reverse_path) if arguments.reverse_path is not None else "<>"
