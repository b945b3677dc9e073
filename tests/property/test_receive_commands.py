"""No argument of MAIL or RCPT makes the parser fail in another way than by refusing it."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from mta.model.address import Address
from mta.relay.receive.commands import CommandError, parse_mail, parse_recipient

POSTMASTER = Address("postmaster", "mx.example.com")
_pieces = st.sampled_from(
    ["FROM:", "TO:", "<", ">", '"', "\\", "@", "a", "example.com", ".", ",", ":", " ", "SIZE=", "1", "BODY=", "ü",
     "(", ")", "SMTPUTF8", "=", "postmaster", "%", "!", "[", "]"],
)  # fmt: skip
arguments = st.one_of(st.text(max_size=80), st.lists(_pieces, max_size=20).map("".join))


@given(arguments, st.booleans(), st.booleans())
@settings(max_examples=500, deadline=None)
def test_mail_is_parsed_or_refused(argument: str, esmtp: bool, offered: bool) -> None:
    for text in (argument, "FROM:<" + argument, "FROM:<a@example.com> " + argument):
        try:
            mail = parse_mail(text, esmtp=esmtp, smtputf8_offered=offered)
        except CommandError as exc:
            _is_a_refusal(exc)
        else:
            assert mail.reverse_path is None or f"<{mail.reverse_path}>" in text


def _is_a_refusal(error: CommandError) -> None:
    assert error.reply.is_permanent
    assert error.reply.status.startswith("5.")


@given(arguments, st.booleans())
@settings(max_examples=500, deadline=None)
def test_an_accepted_recipient_is_the_whole_path(argument: str, smtputf8: bool) -> None:
    for text in ("TO:<" + argument + ">", "TO:" + argument):
        try:
            recipient, _ = parse_recipient(text, postmaster=POSTMASTER, esmtp=True, smtputf8=smtputf8)
        except CommandError as exc:
            _is_a_refusal(exc)
        else:
            assert recipient == POSTMASTER or text.strip().endswith(f"<{recipient}>")
            assert recipient.is_ascii or smtputf8
