"""Makes actions that name somebody: who gets the mail, who it is from, whom we write to."""

from __future__ import annotations

from mta.config.yaml_values import Loc
from mta.relay.decide.actions.address_makers import (
    ArchiveCopy,
    ForAddresses,
    Letter,
    NewSender,
    Notice,
    ReplyTo,
    Response,
    adding,
    naming,
    redirecting,
)
from mta.relay.decide.actions.address_schema import (
    AddRecipientsAction,
    ArchiveAction,
    AutoRespondAction,
    ForwardCopyAction,
    NotifyAction,
    RedirectAction,
    RewriteSenderAction,
    SetReplyToAction,
)
from mta.relay.decide.actions.rule_actions import Makers, RuleActions


class AddressActions(RuleActions):
    """One method for each of these actions, by its name."""

    def add_recipients(self, written: AddRecipientsAction, loc: Loc) -> Makers:
        for header, texts in (("to", written.to), ("cc", written.cc), ("", written.bcc)):
            if texts is None:
                continue
            who = self._addresses(texts, (*loc, header or "bcc"))
            if who:
                yield ForAddresses(adding, who, self._rule, f"add-recipients {header or 'bcc'}")
                if header:
                    source = f"name in {header.capitalize()}"
                    yield ForAddresses(naming(header), who, self._rule, source, changes_content=True)

    def forward_copy(self, written: ForwardCopyAction, loc: Loc) -> Makers:
        who = self._addresses(written.to, (*loc, "to"))
        if who:
            yield ForAddresses(adding, who, self._rule, "forward-copy")

    def redirect(self, written: RedirectAction, loc: Loc) -> Makers:
        who = self._addresses(written.to, (*loc, "to"))
        if who:
            yield ForAddresses(redirecting, who, self._rule, "redirect")

    def archive(self, written: ArchiveAction, loc: Loc) -> Makers:
        to = self._address(written.to, (*loc, "to"))
        if written.next_hop is not None:
            self._check_next_hop(written.next_hop, (*loc, "next_hop"))
        if to is not None or written.next_hop is not None:
            yield ArchiveCopy(to, written.next_hop or "", self._rule)

    def set_reply_to(self, written: SetReplyToAction, loc: Loc) -> Makers:
        address = self._address(written.address, (*loc, "address"))
        name = self._value(written.name, (*loc, "name"))
        if address is not None:
            yield ReplyTo(address, name, self._rule)

    def rewrite_sender(self, written: RewriteSenderAction, loc: Loc) -> Makers:
        address = self._address(written.address, (*loc, "address"))
        name = self._value(written.name, (*loc, "name"))
        if address is not None or name is not None:
            yield NewSender(address, name, written.where, self._rule, keep=written.keep_as_reply_to)

    def notify(self, written: NotifyAction, loc: Loc) -> Makers:
        who = self._addresses(written.to, (*loc, "to"))
        letter = self._letter(written.template, written.from_, loc)
        templates = self._surroundings.templates
        if letter is not None and templates is not None and not templates.has_subject(written.template):
            mend = "give its template.yaml a subject: …"
            self._problem((*loc, "template"), f"template {written.template!r} has no subject for a notice", mend)
        if letter is not None and who:
            yield Notice(letter, who)

    def auto_respond(self, written: AutoRespondAction, loc: Loc) -> Makers:
        letter = self._letter(written.template, written.from_, loc)
        if letter is not None:
            yield Response(letter, written.limit, int(written.period.total_seconds()))

    def _letter(self, template: str, sender: str | None, loc: Loc) -> Letter | None:
        if not self._check_template(template, (*loc, "template")):
            return None
        return Letter(
            template,
            self._address(sender, (*loc, "from")),
            self._rule,
            self._on_error,
            speaks_of_recipient=self._speaks_of_recipient(template),
        )
