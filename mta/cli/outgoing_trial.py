"""`stampline outgoing test`: what a notice needs, step by step."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import asdict
from datetime import UTC, datetime
from email.utils import format_datetime

from mta.adapters.outgoing import open_account
from mta.cli.command import ExitCode, print_json
from mta.cli.steps import Say, Step, show
from mta.config.tracking_schema import OutgoingAccount
from mta.ports.outgoing import MailAccount, OutgoingMail
from mta.ports.task_errors import TaskError
from mta.probe.outgoing_mends import mend_of, told


def run(settings: OutgoingAccount, recipient: str, hostname: str, *, as_json: bool) -> int:
    """Try the account; without a recipient nothing is sent."""
    steps: list[Step] = []

    def say(step: Step) -> None:
        steps.append(step)
        if not as_json:
            show(step)

    asyncio.run(_tried(settings, recipient, hostname, say))
    is_good = all(step.is_good is not False for step in steps)
    if as_json:
        print_json({"ok": is_good, "steps": [asdict(step) for step in steps]})
    return ExitCode.OK if is_good else ExitCode.FAILED


async def _tried(settings: OutgoingAccount, recipient: str, hostname: str, say: Say) -> None:
    account = await opened(settings, hostname, say)
    if account is None:
        return
    try:
        if await _is_signed_in(account, say):
            await _send(account, settings, recipient, hostname, say)
    finally:
        await account.close()


async def opened(settings: OutgoingAccount, hostname: str, say: Say) -> MailAccount | None:
    """None where its secrets or files can't be read, which is said."""
    try:
        return await asyncio.to_thread(open_account, settings, hostname=hostname)
    except (OSError, KeyError) as exc:
        text = f"the environment has no variable {exc.args[0]}" if isinstance(exc, KeyError) else str(exc)
        say(Step("secrets and files", False, text, "see that the account's secret is there, and can be read"))
        return None


async def _is_signed_in(account: MailAccount, say: Say) -> bool:
    try:
        say(Step("connect and sign in", True, await account.sign_in()))
    except TaskError as error:
        say(failed("connect and sign in", error))
        return False
    return True


async def _send(account: MailAccount, settings: OutgoingAccount, recipient: str, hostname: str, say: Say) -> None:
    for sender in settings.senders:
        what = f"test mail from {sender}"
        if not recipient:
            say(Step(what, None, "not sent (--to ADDRESS sends one)"))
        else:
            text = f"`stampline outgoing test {settings.name}` sent this mail. It means that the account works."
            message = trial_message(sender, recipient, "Stampline test mail", text, hostname)
            await send(account, OutgoingMail(sender, (recipient,), message), what, say)


async def send(account: MailAccount, mail: OutgoingMail, what: str, say: Say) -> bool:
    """Whether the server took a mail for its one recipient, which is said."""
    try:
        sent = await account.send(mail)
    except TaskError as error:
        say(failed(what, error))
        return False
    if refusal := {**sent.deferred, **sent.refused}.get(mail.recipients[0]):
        say(Step(what, False, refusal, "see why the server doesn't take mail for this address"))
        return False
    say(Step(what, True, f"taken for {mail.recipients[0]}"))
    return True


def trial_message(sender: str, recipient: str, subject: str, text: str, hostname: str) -> bytes:
    """A mail that programs which answer automatically leave alone."""
    lines = (
        f"Date: {format_datetime(datetime.now(UTC))}", f"From: <{sender}>", f"To: <{recipient}>",
        f"Subject: {subject}", f"Message-ID: <{secrets.token_hex(16)}@{hostname}>", "Auto-Submitted: auto-generated",
        "X-Auto-Response-Suppress: All", "MIME-Version: 1.0", "Content-Type: text/plain; charset=us-ascii", "", text,
        "",
    )  # fmt: skip
    return "\r\n".join(lines).encode()


def failed(what: str, error: TaskError) -> Step:
    """With what the reason means, and what to do."""
    return Step(what, False, told(error), mend_of(error))
