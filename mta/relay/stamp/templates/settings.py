"""`template.yaml`: what its keys are, and what a template takes over from the one that it extends."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from mta.config.types import Strict


def _day(value: Any) -> Any:
    """YAML makes dates and times of what looks like one."""
    if isinstance(value, datetime):
        return value.isoformat(" ")
    return value.isoformat() if isinstance(value, date) else value


Day = Annotated[str, BeforeValidator(_day)]


class PictureFile(Strict):
    file: str = ""
    """Name of a PNG, JPEG or GIF file in the template's folder."""
    cid: str = ""
    """The name after `cid:` in the HTML; without one the file's name serves."""
    url: str = ""
    """Where readers fetch the picture from instead of getting it with the message."""
    dark: str = ""
    """Name of the file that mail programs in dark mode show instead, where they can."""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if not self.file and not (self.url and self.cid):
            raise ValueError("a picture has a file, or a url and a cid")
        if self.url and not self.url.startswith("https://"):
            raise ValueError("url begins with https://")
        if self.url and self.dark:
            raise ValueError("a picture with a url has no dark one")
        return self


class Banner(PictureFile):
    """A picture of a campaign, and when it runs."""

    alt: str = ""
    """What readers read who don't see the picture."""
    link: str = ""
    """Where a click on it leads."""
    text: str = ""
    """What the plain text says instead."""
    from_: Day | None = Field(None, alias="from")
    """First day, `2026-12-01`, or `2026-12-01 09:00`."""
    until: Day | None = None
    """Last day."""
    weekdays: str | None = None
    """`mon-fri`, or `mon,wed,sat-sun`."""
    hours: str | None = None
    """`08:00-18:00`."""
    weight: int = Field(1, ge=1, le=100)
    """How often it comes among those that run at the same time."""

    def schedule(self) -> tuple[tuple[str, str], ...]:
        """As `schedules.schedule_of` takes it."""
        given = {"from": self.from_, "until": self.until, "weekdays": self.weekdays, "hours": self.hours}
        return tuple((key, text) for key, text in given.items() if text is not None)


class Campaign(Strict):
    """Parameters that the filter `link` adds to web addresses."""

    source: str = ""
    """`utm_source`."""
    medium: str = ""
    """`utm_medium`."""
    name: str = ""
    """`utm_campaign`."""
    content: str = ""
    """`utm_content`."""
    term: str = ""
    """`utm_term`."""
    id: str = ""
    """`utm_id`."""


class Settings(Strict):
    """`template.yaml`. Keys of `defaults` and `required` are written `sender.title`."""

    description: str = ""
    """What the template is for, in a sentence."""
    extends: str = ""
    """Name of another template: its files, pictures and settings hold wherever this one has none of its own."""
    subject: str = ""
    """Subject of a mail that a rule writes from this template; a template itself."""
    pictures: tuple[PictureFile, ...] = ()
    """Pictures that the HTML shows, beside those of the template that this one extends."""
    banners: tuple[Banner, ...] = ()
    """Pictures of campaigns; the one whose turn it is is `banner` in the template."""
    rotate: Literal["message", "sender", "day", "week", "month"] = "message"
    """What decides between banners that run at the same time."""
    campaign: Campaign = Campaign()
    """Parameters that the filter `link` adds to web addresses."""
    locale: str = ""
    """Language of dates, such as `en_GB`; else the organisation's attribute `locale`, else English."""
    timezone: str = ""
    """Whose clocks count, such as `Europe/London`; else the organisation's attribute `timezone`, else UTC."""
    country: str = ""
    """Where telephone numbers without a country code belong to, such as `GB`; else the organisation's `country`."""
    defaults: dict[str, str] = {}
    """What stands for values that are missing or empty."""
    required: tuple[str, ...] = ()
    """Values without which the template fails, so that the rule's on_error decides."""
    on_missing: Literal["empty", "default", "error"] = "empty"
    """What a value is that is missing, not in `defaults` and not `required`. `default`: each needs a default."""

    def over(self, extended: Settings) -> Settings:
        """These settings, and wherever they say nothing those of the template that this one extends."""
        own = {name: getattr(self, name) for name in self.model_fields_set}
        campaign = {**_given(extended.campaign), **_given(self.campaign)}
        merged = {
            "defaults": {**extended.defaults, **self.defaults},
            "campaign": Campaign(**campaign),
            "pictures": self.pictures,
            "extends": self.extends,
            "description": self.description,
        }
        return extended.model_copy(update={**own, **merged})


def _given(campaign: Campaign) -> dict[str, Any]:
    return {name: getattr(campaign, name) for name in campaign.model_fields_set}
