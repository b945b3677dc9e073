"""Which attachments are meant: tests of one attachment, all of which it has to meet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from mta.message.attachments.attachment import Attachment
from mta.message.attachments.families import canonical
from mta.message.wildcards import Glob

Test = tuple[Callable[[Attachment], bool], Callable[[Attachment], str]]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Empty and None ask nothing. `names` may hold `*` and `?`; `types` are media types by content, or `image/*`."""

    names: tuple[str, ...] = ()
    extensions: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    over: int | None = None
    under: int | None = None
    """Octets of the decoded content."""
    mismatch: bool | None = None
    """Whether the extension lies about the content."""
    encrypted: bool | None = None
    executable: bool | None = None
    _tests: tuple[Test, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # What costs least first.
        tests = (self._by_name(), self._by_extension(), self._by_size(), self._by_type(), *self._by_content())
        object.__setattr__(self, "_tests", tuple(test for test in tests if test is not None))

    def meets(self, attachment: Attachment) -> bool:
        """Whether the attachment meets all tests."""
        return all(test(attachment) for test, _ in self._tests)

    def explain(self, attachment: Attachment) -> str:
        """Why the attachment meets the tests, or the first that it fails."""
        for test, words in self._tests:
            if not test(attachment):
                return words(attachment)
        return ", ".join(filter(None, dict.fromkeys(words(attachment) for _, words in self._tests)))

    def _by_name(self) -> Test | None:
        if not self.names:
            return None
        glob = Glob([name.lower() for name in self.names])
        return (
            lambda attachment: any(glob.search(name) is not None for name in attachment.names),
            lambda attachment: f"is called {attachment.names[0] or '(nothing)'}",
        )

    def _by_extension(self) -> Test | None:
        if not self.extensions:
            return None
        ends = tuple("." + extension.lower().lstrip(".") for extension in self.extensions)
        return (
            lambda attachment: any(name.endswith(ends) for name in attachment.names),
            lambda attachment: f"extension {attachment.extension or '(none)'}",
        )

    def _by_size(self) -> Test | None:
        over, under = self.over, self.under
        if over is None and under is None:
            return None
        return (
            lambda attachment: (
                (over is None or attachment.size_octets > over) and (under is None or attachment.size_octets < under)
            ),
            lambda attachment: f"{attachment.size_octets} octets",
        )

    def _by_type(self) -> Test | None:
        if not self.types:
            return None
        glob = Glob([canonical(kind) for kind in self.types])
        return (
            lambda attachment: glob.search(attachment.media_type) is not None,
            lambda attachment: f"is {attachment.media_type}",
        )

    def _by_content(self) -> Sequence[Test]:
        tests: list[Test] = []
        if (mismatch := self.mismatch) is not None:
            tests.append((
                lambda attachment: attachment.lies is mismatch,
                lambda attachment: f"called .{attachment.extension}, is {attachment.media_type}",
            ))  # fmt: skip
        if (encrypted := self.encrypted) is not None:
            tests.append((
                lambda attachment: attachment.is_encrypted is encrypted,
                lambda attachment: "is encrypted" if attachment.is_encrypted else "is not encrypted",
            ))  # fmt: skip
        if (executable := self.executable) is not None:
            tests.append((
                lambda attachment: bool(attachment.runs_because) is executable,
                lambda attachment: attachment.runs_because or "runs nothing",
            ))  # fmt: skip
        return tests
