"""What follows from an organisation's message: `derive` with the organisation's templates, names and routes."""

from __future__ import annotations

from mta.config.schema import Configuration
from mta.model.address import Address, parse_address
from mta.relay.book import Book
from mta.relay.derive import CannotWriteError, Derived, House, Letter, Original, derive
from mta.relay.stamp.context import StampContext
from mta.relay.stamp.mail import render_mail
from mta.relay.stamp.templates.template_set import RenderError


def postmaster(configuration: Configuration) -> Address:
    """From of our DSNs and notices, and whom RCPT TO:<postmaster> means."""
    return parse_address(configuration.postmaster_address)


def following(original: Original, book: Book, configuration: Configuration, *, is_refused: bool = False) -> Derived:
    """What follows from a message of the organisation whose book it is."""
    message = original.message
    context = StampContext(
        original.people, message.decision.sender, message.accepted_at, book.values, original.is_verified,
        book.settings.accepted_domains[0],
    )  # fmt: skip

    def write(template: str, rule: str, recipient: str) -> Letter:
        try:
            return render_mail(
                book.templates.template(template), original.parsed, context, rule=rule, recipient=recipient
            )
        except KeyError as exc:
            raise CannotWriteError(f"no template {template}") from exc
        except RenderError as exc:
            raise CannotWriteError(str(exc)) from exc
        except Exception as exc:  # whatever fails in writing, the rule's on_error says what follows
            raise CannotWriteError(type(exc).__name__) from exc

    house = House(
        configuration.hostname, postmaster(configuration), book.policy.next_hop, book.organisation.accepted_domains
    )
    return derive(original, house, write, is_refused=is_refused)
