"""Makes actions of what a business rule says, and reports what makes no sense, each at its place."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from mta.config.explain_errors import closest
from mta.config.outgoing_checks import key_of
from mta.config.tracking_schema import OutgoingAccount, TrackingSettings
from mta.config.yaml_values import Loc
from mta.message.patterns.text_patterns import FieldPattern, PatternError
from mta.model.address import AddressError, parse_address
from mta.tracking.record import action_schema as written
from mta.tracking.record import actions
from mta.tracking.record.compile_conditions import Report
from mta.tracking.record.note import PlannedNote
from mta.tracking.record.schema import FIELD_NAME
from mta.tracking.record.wording import NAMES, Wording, WordingError

PEOPLE = ("requester", "owner", "sender", "participants")
"""Whom `notify` may name beside addresses."""
_WITHOUT_MESSAGE = frozenset({"update", "close", "reopen", "delete", "note", "notify", "call"})


class ActionCompiler:
    """Compiles the actions of one rule."""

    def __init__(
        self, settings: TrackingSettings, templates: Collection[str] | None, report: Report, advise: Report, *,
        by_time: bool,
    ) -> None:  # fmt: skip
        """`templates`: names of those that are there; None where nobody looked. What can be done without goes to
        `advise`."""
        self._settings = settings
        self._templates = templates
        self._report = report
        self._advise = advise
        self._by_time = by_time

    def compile(self, entries: Sequence[written.ActionEntry], loc: Loc) -> Iterator[actions.Action]:
        """In order; those that were reported are left out."""
        for n, entry in enumerate(entries):
            name, said = next(
                (field.alias or key, value)
                for key, field in written.ActionEntry.model_fields.items()
                if (value := getattr(entry, key)) is not None
            )
            where = (*loc, n, name)
            if self._by_time and name not in _WITHOUT_MESSAGE:
                what = f"{name} needs a message, and a rule with older_than or unchanged_for has none"
                self._report(where, what, f"choose from {', '.join(sorted(_WITHOUT_MESSAGE))}")
                continue
            made = getattr(self, "_" + name.replace("-", "_"))(said, where)
            if made is not None:
                yield made

    # --- records ------------------------------------------------------------------------------------------------------

    def _create(self, said: written.CreateAction, loc: Loc) -> actions.Action:
        modules = [module.name for module in self._settings.modules]
        if said.module is not None and said.module not in modules:
            self._report((*loc, "module"), f"no module is called {said.module!r}", closest(said.module, modules))
        module = said.module or modules[0]
        return actions.Create(
            f"create: {module}", module, self._wording(said.title, (*loc, "title")),
            self._person(said.requester, (*loc, "requester")), self._person(said.owner, (*loc, "owner")), said.state,
            self._wording(said.source, (*loc, "source")), self._fields(said.fields, (*loc, "fields")),
        )  # fmt: skip

    def _update(self, said: written.UpdateAction, loc: Loc) -> actions.Action:
        given = [name for name in type(said).model_fields if getattr(said, name) not in (None, {})]
        if not given:
            self._report(loc, "changes nothing", "write state, title, owner, requester or fields")
        return actions.Update(
            f"update: {', '.join(given)}", said.state,
            None if said.title is None else self._wording(said.title, (*loc, "title")),
            None if said.owner is None else self._person(said.owner, (*loc, "owner")),
            None if said.requester is None else self._person(said.requester, (*loc, "requester")),
            self._fields(said.fields, (*loc, "fields")),
        )  # fmt: skip

    def _close(self, said: written.CloseAction, loc: Loc) -> actions.Action:
        return actions.Update(f"close: {said.state}", said.state)

    def _reopen(self, said: written.ReopenAction, loc: Loc) -> actions.Action:
        return actions.Update(f"reopen: {said.state}", said.state, only_from=said.from_)

    def _delete(self, said: written.DeleteAction, loc: Loc) -> actions.Action:
        return actions.Delete("delete")

    def _join(self, said: written.JoinAction, loc: Loc) -> actions.Action:
        return actions.Join("join")

    def _note(self, said: written.NoteAction, loc: Loc) -> actions.Action:
        if said.text is not None and said.wording:
            self._report((*loc, "wording"), "text and wording exclude each other", "keep one of the two")
        if self._by_time and not said.wording:
            self._report(loc, "there is no message whose text it could have", "write wording: …")
        wording = self._wording(said.wording, (*loc, "wording")) if said.wording else None
        planned = PlannedNote(said.text or "newest", wording, said.kind or "", said.public, said.attach)
        return actions.Note(f"note: {said.kind}" if said.kind else "note", planned)

    def _read_fields(self, said: written.ReadFieldsAction, loc: Loc) -> actions.Action:
        pattern = None
        if said.regex is not None:
            try:
                pattern = FieldPattern(said.regex)
            except PatternError as exc:
                self._report((*loc, "regex"), str(exc), exc.mend)
        for name in pattern.names if pattern is not None else ():
            if not FIELD_NAME.match(name):
                self._report(
                    (*loc, "regex"), f"{name!r} is no name of a field", "use lower case letters, digits and `_`"
                )
        fields = [*said.lines.values(), *(pattern.names if pattern is not None else ())]
        source = f"read-fields: {', '.join(dict.fromkeys(fields))}"
        return actions.ReadFields(source, said.lines, pattern, said.within, said.length, said.keep)

    # --- what goes elsewhere ------------------------------------------------------------------------------------------

    def _notify(self, said: written.NotifyAction, loc: Loc) -> actions.Action:
        to = tuple(self._recipient(text, (*loc, "to", n)) for n, text in enumerate(said.to))
        if self._templates is not None and said.template and said.template not in self._templates:
            what = f"there is no template {said.template!r}: such notices are written in our own words"
            self._advise((*loc, "template"), what, closest(said.template, self._templates))
        account = self._account(said, loc)
        if said.from_ is not None:
            self._check_sender(said.from_, account, (*loc, "from"))
        subject = self._wording(said.subject, (*loc, "subject"))
        source = f"notify: {', '.join(said.to)}"
        return actions.Notify(source, to, said.template, subject, said.account or "", said.from_ or "")

    def _recipient(self, text: str, loc: Loc) -> str:
        if text in PEOPLE:
            if text == "sender" and self._by_time:
                self._report(loc, "there is no sender without a message", "write requester or owner")
            return text
        try:
            return parse_address(text).key
        except AddressError as exc:
            self._report(loc, f"{text!r} is no address: {exc}", f"write name@example.com, or {', '.join(PEOPLE)}")
            return text

    def _account(self, said: written.NotifyAction, loc: Loc) -> OutgoingAccount | None:
        accounts = {account.name: account for account in self._settings.accounts}
        if not accounts:
            self._report(loc, "there is no account to send it by", "write one into tracking.accounts")
        elif said.account is not None and said.account not in accounts:
            what = f"no account is called {said.account!r}"
            self._report((*loc, "account"), what, closest(said.account, accounts))
        return accounts.get(said.account or "")

    def _check_sender(self, address: str, account: OutgoingAccount | None, loc: Loc) -> None:
        accounts = [account] if account is not None else self._settings.accounts
        allowed = {key_of(sender) for each in accounts for sender in each.senders}
        if allowed and key_of(address) not in allowed:
            whose = f"account {account.name}" if account is not None else "any account"
            self._report(loc, f"{address} is not among the senders of {whose}", closest(address, allowed))

    def _call(self, said: written.CallAction, loc: Loc) -> actions.Action:
        sinks = [sink.name for sink in self._settings.sinks]
        if said.sink not in sinks:
            mend = closest(said.sink, sinks) or "write one into tracking.sinks"
            self._report((*loc, "sink"), f"no sink is called {said.sink!r}", mend)
        return actions.Call(f"call: {said.sink}", said.sink, said.event or "", said.fields, said.attachments)

    def _write_back(self, said: written.WriteBackAction, loc: Loc) -> actions.Action:
        if self._settings.write_back is None:
            self._report(loc, "nobody's mailboxes may be written to", "write tracking.write_back with its audience")
        return actions.WriteBack("write-back")

    # --- wordings -----------------------------------------------------------------------------------------------------

    def _wording(self, text: str, loc: Loc) -> Wording:
        try:
            wording = Wording(text)
        except WordingError as exc:
            names = ", ".join(f"{{{name}}}" for name in NAMES)
            self._report(loc, str(exc), f"there are {names} and {{fields.NAME}}")
            return Wording("")
        if self._by_time and wording.needs_message:
            what = "it speaks of a message, and a rule with older_than or unchanged_for has none"
            self._report(loc, what, "speak of the record: {title}, {requester}")
        return wording

    def _person(self, text: str, loc: Loc) -> Wording:
        """An address, or a wording that gives one."""
        wording = self._wording(text, loc)
        if text and not wording.names:
            try:
                parse_address(text)
            except AddressError as exc:
                self._report(loc, f"{text!r} is no address: {exc}", "write name@example.com, or {sender}")
        return wording

    def _fields(self, given: Mapping[str, str], loc: Loc) -> dict[str, Wording]:
        return {name: self._wording(text, (*loc, name)) for name, text in given.items()}
