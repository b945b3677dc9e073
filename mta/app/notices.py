"""Notices of tracking, rendered with the organisation's templates."""

from __future__ import annotations

from mta.config.schema import Organisation
from mta.message.letters import CannotWriteError, Letter
from mta.message.parse import parse
from mta.relay.stamp.context import StampContext
from mta.relay.stamp.mail import render_mail
from mta.relay.stamp.templates.template_set import RenderError, load_templates
from mta.tracking.notify import NoticeContext

_NO_MESSAGE = parse(b"\r\n")


class NoticeTemplates:
    """Those of one organisation, as they were when this was made. Raises ConfigurationError where they are bad."""

    def __init__(self, organisation: Organisation) -> None:
        self._organisation = organisation
        self._templates = load_templates(organisation.templates)

    def __call__(self, template: str, context: NoticeContext) -> Letter:
        """See `tracking.notify.RenderNotice`."""
        values = {"name": self._organisation.name, **self._organisation.attributes}
        stamping = StampContext(
            context.people, context.sender, context.now, values, origin=self._organisation.accepted_domains[0]
        )  # fmt: skip
        message = context.message if context.message is not None else _NO_MESSAGE
        try:
            return render_mail(
                self._templates.template(template), message, stamping, rule=context.rule, recipient=context.recipient,
                more=context.values,
            )  # fmt: skip
        except KeyError as exc:
            raise CannotWriteError(f"no template {template}") from exc
        except RenderError as exc:
            raise CannotWriteError(str(exc)) from exc
        except Exception as exc:  # whatever fails in writing, a notice in our own words goes out
            raise CannotWriteError(type(exc).__name__) from exc
