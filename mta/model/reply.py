"""SMTP replies (RFC 5321 §4.2) with enhanced status codes (RFC 2034, RFC 3463), and the errors that carry one."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reply:
    """`code` 200-599, `status` an enhanced status code such as "4.3.1" or "" where none fits, `text` one ASCII line."""

    code: int
    status: str
    text: str

    def __str__(self) -> str:
        return f"{self.code} {self.status} {self.text}" if self.status else f"{self.code} {self.text}"

    @property
    def is_permanent(self) -> bool:
        return self.code >= 500

    @property
    def is_temporary(self) -> bool:
        return 400 <= self.code < 500

    @property
    def is_success(self) -> bool:
        return 200 <= self.code < 300


INTERNAL_ERROR = Reply(451, "4.3.0", "Local error in processing, try again later")
DRAINING = Reply(421, "4.3.2", "This server takes no mail at the moment, use another or try later")
STORAGE_FULL = Reply(452, "4.3.1", "Insufficient system storage, try again later")


class MailError(Exception):
    """A failure that has a reply: raised by adapters and stages, decided on by the pipeline."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(str(reply))
        self.reply = reply


class TemporaryError(MailError):
    """Try again later; the reply is 4yz."""
