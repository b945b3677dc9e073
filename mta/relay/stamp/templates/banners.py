"""`banner` in a template: the campaign's picture whose turn it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mta.relay.stamp.templates.filters.choice import weighted
from mta.relay.stamp.templates.rendering import PictureSource, Rendering
from mta.relay.stamp.templates.schedules import Schedule, schedule_of
from mta.relay.stamp.templates.settings import Banner
from mta.relay.stamp.templates.values import Missing, Values

VALUES = frozenset(("picture", "alt", "link", "text", "name"))
_NONE: dict[str, str] = {}


@dataclass(frozen=True, slots=True)
class Campaigns:
    """The banners of a template, and what decides between those that run at the same time."""

    schedules: tuple[Schedule, ...]
    weights: tuple[int, ...]
    values: tuple[dict[str, str], ...]
    rotate: str

    @classmethod
    def of(cls, banners: Sequence[Banner], pictures: Sequence[PictureSource], rotate: str) -> Campaigns:
        return cls(
            tuple(schedule_of(banner.schedule()) for banner in banners),
            tuple(banner.weight for banner in banners),
            tuple(
                {
                    "picture": f"cid:{picture.cid}",
                    "name": picture.cid.removeprefix("banner-"),
                    "alt": banner.alt,
                    "link": banner.link,
                    "text": banner.text,
                }
                for banner, picture in zip(banners, pictures, strict=True)
            ),
            rotate,
        )

    def values_for(self, rendering: Rendering) -> Values:
        """What the template sees as `banner`; false where none runs."""
        chosen = self._chosen(rendering)
        return Values("banner", lambda name: chosen.get(name, ""), Missing(), lambda: bool(chosen))

    def _chosen(self, rendering: Rendering) -> dict[str, str]:
        running = []
        for index, schedule in enumerate(self.schedules):
            answer, period = schedule.runs(rendering.now, rendering.region.zone)
            rendering.hold_for(period)
            if answer:
                running.append(index)
        # What runs all the year makes room for what has its time.
        running = [index for index in running if self.schedules[index].has_dates] or running
        if not running:
            return _NONE
        if len(running) == 1:
            return self.values[running[0]]
        return self.values[running[weighted(rendering, [self.weights[index] for index in running], self.rotate)]]
