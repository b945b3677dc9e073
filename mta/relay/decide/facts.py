"""What the rules may ask about a message and its recipients. Costly answers are found once, when first asked."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, lru_cache

from mta.message.attachments import Attachment, attachments
from mta.message.body_text import displayed
from mta.message.charsets import codec_for
from mta.message.classify import Classification, Kind
from mta.message.parse import Message
from mta.message.patterns.text_patterns import Text
from mta.message.shown_text import shown_texts
from mta.model.authentication import AuthenticationResults
from mta.model.envelope import Client
from mta.model.person import Person
from mta.relay.decide import languages
from mta.relay.decide.conditions.schema import MEETING_KINDS, NULL_REVERSE_PATH, OTHER_CALENDAR
from mta.relay.decide.outcome import PluginRun
from mta.relay.decide.participants import OrganisationFacts, Participants, Parties

_ASKED_BY_NAME = frozenset({Kind.AUTO_REPLY, Kind.OUT_OF_OFFICE, Kind.MEETING})


@dataclass(frozen=True, slots=True)
class Readers:
    """What deciding asks of the stage that knows quotes and stamps; the program around both gives it."""

    newest_texts: Callable[[Message, Classification], tuple[str, ...]] | None = None
    """The newest text above what it quotes, as plain text: of the HTML, and of the plain text that stands beside it.

    None takes the whole text.
    """
    earlier_stamps: Callable[[Message], Collection[str]] | None = None
    """Names of the templates whose stamps stand in the message or in what it quotes, in lower case."""


NO_READERS = Readers()


class Facts(Parties):
    """One message before its rules."""

    def __init__(
        self,
        message: Message,
        classification: Classification,
        participants: Participants,
        people: Mapping[str, Person],
        now: datetime,
        organisation: OrganisationFacts,
        size_octets: int | None = None,
        *,
        client: Client | None = None,
        authentication: AuthenticationResults | None = None,
        known_contacts: frozenset[str] | None = None,
        readers: Readers = NO_READERS,
    ) -> None:
        super().__init__(participants, people, organisation)
        self.message = message
        self.classification = classification
        self.now = now
        self.size_octets = len(message.data) if size_octets is None else size_octets
        self.client = client
        self.authentication = authentication
        """None where nobody looked: mail from our own servers."""
        self.known_contacts = known_contacts
        """Keys of the recipients to whom the sender has written before; None where that was not looked up."""
        self.readers = readers
        self._with_subject: dict[bool, tuple[Text, ...]] = {}
        self.masks: dict[object, int] = {}
        """Answers of tests, by the test; kept here so that a test that stands in many rules is run once."""
        self.rendered: dict[object, str] = {}
        """Rendered header values that don't depend on the recipient, by the value."""
        self.plugin_runs: list[PluginRun] = []
        """Each call of a plug-in so far."""

    @property
    def kind_names(self) -> frozenset[str]:
        """The message's kind, of a meeting's mail also which it is, and `null-reverse-path` where it is so."""
        found = self.classification
        return _names(found.kind, found.meeting_method, self.participants.null_reverse_path)

    @property
    def asked_by_name(self) -> frozenset[str]:
        """Kinds of which a rule must name one before it may change the content; empty for ordinary mail."""
        if self.classification.kind in _ASKED_BY_NAME:
            return self.kind_names
        return _names(None, "", self.participants.null_reverse_path)

    @property
    def subject(self) -> str:
        return self.message.subject

    @cached_property
    def folded_subject(self) -> str:
        """For phrases: white space made one space, case folded."""
        return " ".join(self.subject.split()).casefold()

    @cached_property
    def whole_texts(self) -> tuple[Text, ...]:
        """The displayed text with what it quotes: the reading of the HTML, and that of plain text where it differs."""
        return tuple(Text(text) for text in shown_texts(self.message))

    @cached_property
    def newest_texts(self) -> tuple[Text, ...]:
        """The same without what it quotes."""
        read = self.readers.newest_texts
        if read is None:
            return self.whole_texts
        return tuple(Text(text) for text in read(self.message, self.classification))

    def texts(self, *, newest: bool, with_subject: bool) -> tuple[Text, ...]:
        """What tests of the body look into."""
        if not with_subject:
            return self.newest_texts if newest else self.whole_texts
        known = self._with_subject.get(newest)
        if known is None:
            bodies = self.newest_texts if newest else self.whole_texts
            known = self._with_subject[newest] = tuple(Text(f"{self.subject}\n{body.text}") for body in bodies)
        return known

    @cached_property
    def earlier_stamps(self) -> frozenset[str]:
        """Templates whose stamps stand in the message or in what it quotes, lower case."""
        find = self.readers.earlier_stamps
        # A stranger can write any marker, to keep a warning out.
        is_ours = self.sender is not None and self.sender.ours
        return frozenset(find(self.message)) if find is not None and is_ours else frozenset()

    @cached_property
    def charsets(self) -> frozenset[str]:
        """Of the displayed texts: the labels in lower case, and the names of the codecs that they mean."""
        labels = {body.part.charset or "us-ascii" for body in displayed(self.message)}
        return frozenset(labels) | {charset_name(label) for label in labels}

    @cached_property
    def language(self) -> str:
        """Of the newest text, as in RFC 5646, lower case (`de`, `zh-hant`); else Content-Language; "" if unknown."""
        text = next((text.text for text in self.newest_texts), "")
        return languages.detect(text) or self.message.header("content-language").split(",")[0].strip().lower()

    @cached_property
    def attachments(self) -> tuple[Attachment, ...]:
        """The message's attachments, each of which finds what is asked of it once."""
        return tuple(attachments(self.message))

    @cached_property
    def attachment_names(self) -> tuple[str, ...]:
        """File names in lower case, "" for those without; trailing dots and spaces off, as Windows ignores them."""
        return tuple(part.filename.lower().rstrip(". ") for part in self.message.attachments())


def charset_name(label: str) -> str:
    """One name for all labels of a charset."""
    codec = codec_for(label)
    return label.lower() if codec is None else codec.encoding.replace("_", "-")


@lru_cache
def _names(kind: Kind | None, meeting_method: str, null_reverse_path: bool) -> frozenset[str]:
    names = {kind.value} if kind is not None else set()
    if kind is Kind.MEETING:
        names.add(MEETING_KINDS.get(meeting_method, OTHER_CALENDAR))
    return frozenset(names | {NULL_REVERSE_PATH} if null_reverse_path else names)
