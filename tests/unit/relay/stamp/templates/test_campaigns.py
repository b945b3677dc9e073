# ruff: noqa: E501 - samples stand on one line
"""Scheduled blocks, banners, and how long a rendering is kept."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from mta.config.clock_words import ScheduleError
from mta.config.problems import ConfigurationError
from mta.model.person import Person
from mta.relay.stamp.templates.rendering import day_of
from mta.relay.stamp.templates.schedules import schedule_of
from mta.relay.stamp.templates.template_set import TemplateSet, load_templates
from tests.unit.relay.stamp.samples import JANE, MARIA, NOW, write_templates
from tests.unit.relay.stamp.templates.render_samples import PNG, html, person, render, text

LONDON = ZoneInfo("Europe/London")


def at(moment: str) -> datetime:
    return datetime.fromisoformat(moment).replace(tzinfo=UTC)


class TestSchedule:
    @pytest.mark.parametrize(
        ("written", "moment", "runs"),
        [
            ({"from": "2026-12-01"}, "2026-11-30 23:59", False),
            ({"from": "2026-12-01"}, "2026-12-01 00:00", True),
            ({"until": "2026-12-31"}, "2026-12-31 23:59", True),
            ({"until": "2026-12-31"}, "2027-01-01 00:00", False),
            ({"from": "2026-07-01", "until": "2026-07-01"}, "2026-06-30 23:00", True),  # British summer time
            ({"from": "2026-07-01", "until": "2026-07-01"}, "2026-07-01 23:00", False),
            ({"from": "2026-07-01", "timezone": "UTC"}, "2026-06-30 23:00", False),
            ({"until": "2026-12-31 18:00"}, "2026-12-31 17:59", True),
            ({"until": "2026-12-31 18:00"}, "2026-12-31 18:00", False),
            ({"weekdays": "mon-fri"}, "2026-11-20 12:00", True),
            ({"weekdays": "mon-fri"}, "2026-11-21 12:00", False),
            ({"weekdays": "sat-mon, wed"}, "2026-11-22 12:00", True),
            ({"hours": "08:00-18:00"}, "2026-11-22 07:59", False),
            ({"hours": "08:00-18:00"}, "2026-11-22 08:00", True),
            ({"hours": "22:00-06:00", "weekdays": "fri"}, "2026-11-21 05:59", True),
            ({"hours": "22:00-06:00", "weekdays": "fri"}, "2026-11-21 22:00", False),
            ({"hours": "22:00-06:00", "until": "2026-11-20"}, "2026-11-21 05:59", True),
            ({"hours": "22:00-06:00", "from": "2026-11-20"}, "2026-11-20 05:59", False),
            ({"hours": "08:00-24:00"}, "2026-11-22 23:59", True),
        ],
    )
    def test_runs(self, written: dict[str, str], moment: str, runs: bool) -> None:
        assert schedule_of(tuple(written.items())).runs(at(moment), LONDON)[0] is runs

    @pytest.mark.parametrize(
        ("written", "what"),
        [
            ({"from": "tomorrow"}, "'tomorrow' is no day"),
            ({"from": "2026-12-01T10:00+01:00"}, "is no day"),
            ({"until": "9999-12-31"}, "is no day"),
            ({"from": "2026-12-02", "until": "2026-12-01"}, "until 2026-12-01 is before from 2026-12-02"),
            ({"weekdays": "monday"}, "'monday' are no weekdays"),
            ({"hours": "25:00-26:00"}, "'25:00-26:00' are no hours"),
            ({"hours": "08:00-08:00"}, "the hours begin and end at the same time"),
            ({"timezone": "Mars/Olympus"}, "no time zone 'Mars/Olympus'"),
            ({"timezone": "../../etc/passwd"}, "no time zone '../../etc/passwd'"),
            ({"when": "x"}, "'when' is no key of a schedule"),
        ],
    )
    def test_what_is_no_schedule(self, written: dict[str, str], what: str) -> None:
        with pytest.raises(ScheduleError, match=f"(?s).*{what.replace('.', '[.]')}"):
            schedule_of(tuple(written.items()))

    @pytest.mark.parametrize("zone", ["Europe/London", "America/Havana", "Pacific/Apia", "Asia/Kathmandu", "UTC"])
    @pytest.mark.parametrize("written", [{"weekdays": "mon,wed"}, {"hours": "01:30-02:30"}, {"from": "2026-03-29"}])
    def test_the_answer_holds_for_its_period(self, zone: str, written: dict[str, str]) -> None:
        schedule = schedule_of(tuple(written.items()))
        moment = at("2026-03-01 00:00")
        while moment < at("2026-04-03 00:00"):
            answer, period = schedule.runs(moment, ZoneInfo(zone))
            assert period.start <= moment < period.end
            for other in (period.start, period.end - timedelta(microseconds=1)):
                assert schedule.runs(other, ZoneInfo(zone))[0] is answer
            moment += timedelta(minutes=97)

    @pytest.mark.parametrize("zone", ["Europe/London", "America/Havana", "Pacific/Apia", "America/Sao_Paulo"])
    def test_a_day_is_the_calendar_s(self, zone: str) -> None:
        place = ZoneInfo(zone)
        moment = at("2011-12-01 00:00")  # Samoa left out the 30th
        while moment < at("2012-04-01 00:00"):
            period = day_of(moment, place)
            assert period.start <= moment < period.end
            ends = period.start, period.end - timedelta(microseconds=1)
            assert {end.astimezone(place).date() for end in ends} == {moment.astimezone(place).date()}
            moment += timedelta(hours=11)


class TestScheduled:
    SOURCE = "{% scheduled from='2026-12-01', until='2026-12-31', weekdays='mon-fri' %}A{% else %}B{% endscheduled %}"

    @pytest.mark.parametrize(
        ("moment", "expected"), [("2026-11-30 12:00", "B"), ("2026-12-01 12:00", "A"), ("2026-12-05 12:00", "B")]
    )
    def test_a_block_has_its_time(self, tmp_path: Path, moment: str, expected: str) -> None:
        assert text(tmp_path, self.SOURCE, at=at(moment)) == expected

    def test_by_the_template_s_clocks(self, tmp_path: Path) -> None:
        source = "{% scheduled from='2026-12-01' %}A{% endscheduled %}."
        assert text(tmp_path / "a", source, "timezone: Asia/Tokyo", at=at("2026-11-30 15:00")) == "A."
        assert text(tmp_path / "b", source, at=at("2026-11-30 15:00")) == "."

    @pytest.mark.parametrize(
        ("tag", "expected"),
        [
            ("{% scheduled %}", "scheduled needs from, until, weekdays or hours"),
            ("{% scheduled from='soon' %}", "'soon' is no day (write 2026-12-01, or 2026-12-01 18:00)"),
            ("{% scheduled from=sender.title %}", "expected token 'string'"),
            ("{% scheduled from='2026-12-01', from='2026-12-02' %}", "from is written twice"),
            ("{% scheduled to='2026-12-01' %}", "'to' is no key of a schedule"),
        ],
    )
    def test_arguments_are_checked_at_load(self, tmp_path: Path, tag: str, expected: str) -> None:
        with pytest.raises(ConfigurationError) as caught:
            text(tmp_path, f"a\n{tag}x{{% endscheduled %}}")
        (problem,) = caught.value.problems
        assert problem.line == 2
        assert expected in problem.what


BANNERS = (
    "banners:\n"
    "  - {file: a.png, alt: A, link: 'https://a.example', text: About A}\n"
    "  - {file: b.png, alt: B, from: 2026-12-01, until: 2026-12-31}\n"
    "  - {url: 'https://cdn.example.com/c.png', cid: c, alt: C, from: 2026-12-24}\n"
)  # fmt: skip
SHOWN = '<p data-line><a href="{{ banner.link|link(name=banner.name) }}"><img src="{{ banner.picture }}" alt="{{ banner.alt }}"></a></p>{% if banner %}yes{% else %}no{% endif %}'


class TestBanners:
    def test_what_a_template_sees(self, tmp_path: Path) -> None:
        files: dict[str, str | bytes] = {"template.yaml": BANNERS, "a.png": PNG, "b.png": PNG}
        done = html(tmp_path, SHOWN, files)
        assert '<a href="https://a.example?utm_campaign=a"><img src="cid:banner-a-' in done.html
        assert done.html.endswith("</p>yes")
        assert done.text == "A <https://a.example?utm_campaign=a>\n\nyes"

    def test_one_with_dates_goes_before_those_without(self, tmp_path: Path) -> None:
        files: dict[str, str | bytes] = {"template.yaml": BANNERS, "a.png": PNG, "b.png": PNG}
        source = "{{ banner.alt }}"
        shown = {day: html(tmp_path, source, files, at=at(f"2026-12-{day:02} 12:00")).html for day in (1, 23)}
        assert shown == {1: "B", 23: "B"}
        both = {html(tmp_path, source, files, at=at("2026-12-25 12:00"), message_id=f"{n}@x").html for n in range(30)}
        assert both == {"B", "C"}

    def test_a_linked_one_is_not_attached(self, tmp_path: Path) -> None:
        files: dict[str, str | bytes] = {"template.yaml": BANNERS, "a.png": PNG, "b.png": PNG}
        done = html(tmp_path, '<img src="{{ banner.picture }}" alt="">', files, at=at("2027-02-01 12:00"))
        assert done.html == '<img src="https://cdn.example.com/c.png" alt="">'
        assert done.pictures == ()

    def test_without_any_lines_vanish(self, tmp_path: Path) -> None:
        assert html(tmp_path, SHOWN).html == "no"

    def test_weights(self, tmp_path: Path) -> None:
        settings = "banners:\n  - {file: a.png, alt: A, weight: 9}\n  - {file: b.png, alt: B}\nrotate: message\n"
        files: dict[str, str | bytes] = {
            "t/template.yaml": settings,
            "t/a.png": PNG,
            "t/b.png": PNG,
            "t/signature.txt.j2": "{{ banner.alt }}",
        }
        templates = load_templates(write_templates(tmp_path, files))
        shown = [render(templates, message_id=f"{n}@x").text for n in range(300)]
        assert 240 <= shown.count("A") < 300

    @pytest.mark.parametrize(
        ("settings", "expected"),
        [
            ("banners:\n  - {file: a.png, from: 2026-12-02, until: 2026-12-01}", "t/template.yaml:2:"),
            ("banners:\n  - {file: nope.png}", "no picture 'nope.png' here"),
            ("banners:\n  - {file: a.png, weekdays: someday}", "'someday' are no weekdays (write mon-fri, or mon,wed,sat-sun)"),
            ("banners:\n  - {file: a.png, dark: a.png}", "a banner has no dark one"),
            ("banners:\n  - {alt: x}", "a picture has a file, or a url and a cid"),
            ("banners:\n  - {cid: x, url: 'http://x.example/a.png'}", "url begins with https://"),
            ("rotate: hourly", "t/template.yaml:1:9"),
        ],
    )  # fmt: skip
    def test_problems_have_their_place(self, tmp_path: Path, settings: str, expected: str) -> None:
        files: dict[str, str | bytes] = {
            "t/template.yaml": settings,
            "t/a.png": PNG,
            "t/signature.txt.j2": "{{ banner.alt }}",
        }
        with pytest.raises(ConfigurationError) as caught:
            load_templates(write_templates(tmp_path, files))
        assert any(expected in str(problem) for problem in caught.value.problems), caught.value.problems


def kept(templates: TemplateSet) -> int:
    return len(templates.template("t").rendered)


class TestKept:
    """A rendering is used again for the sender's next message only while it would come out the same."""

    @pytest.mark.parametrize(
        ("source", "is_kept"),
        [
            ("{{ sender.title }}", True),
            ("{{ now|date }}", True),
            ("{{ '2026-12-24'|days_until }}", True),
            ("{% scheduled weekdays='mon-fri' %}x{% endscheduled %}", True),
            ("{{ ['a', 'b']|choose(by='day') }}", True),
            ("{{ ['a', 'b']|choose(by='sender') }}", True),
            ("{{ banner.alt }}", True),
            ("{{ ['a', 'b']|choose }}", False),
            ("{{ now|time }}", False),
            ("{{ now.year }}", False),
            ("{% set x = now %}{{ x|date }}", False),
            ("{{ message.subject }}", False),
            ("{{ recipient.mail }}", False),
        ],
    )
    def test_unless_a_message_goes_into_it(self, tmp_path: Path, source: str, is_kept: bool) -> None:
        templates = load_templates(write_templates(tmp_path, {"t/signature.txt.j2": source}))
        render(templates)
        assert kept(templates) == int(is_kept)

    @pytest.mark.parametrize(
        "source",
        [
            "{{ now|date }}",
            "{{ '2026-12-24'|days_until }}",
            "{% scheduled weekdays='mon,wed', hours='08:30-17:15' %}x{% endscheduled %}",
            "{% scheduled from='2026-11-24', until='2026-11-25 09:00' %}x{% endscheduled %}",
            "{{ ['a', 'b', 'c']|choose(by='day') }}",
            "{{ banner.alt }}",
        ],
    )
    @pytest.mark.parametrize("zone", ["UTC", "America/New_York"])
    def test_it_is_what_a_fresh_one_would_be(self, tmp_path: Path, source: str, zone: str) -> None:
        settings = f"timezone: {zone}\nrotate: day\nbanners:\n  - {{file: a.png, alt: A, weekdays: mon}}\n  - {{file: b.png, alt: B, weekdays: tue-sun}}\n"
        files: dict[str, str | bytes] = {
            "t/signature.txt.j2": source,
            "t/template.yaml": settings,
            "t/a.png": PNG,
            "t/b.png": PNG,
        }
        templates = load_templates(write_templates(tmp_path, files))
        shown = set()
        # Forth and back: an older message that is tried again gets what it got before.
        steps = [NOW + timedelta(minutes=41 * n) for n in range(120)]
        for moment in [*steps, *steps[::-7]]:
            shown.add(render(templates, at=moment).text)
            fresh = load_templates(tmp_path)
            assert render(templates, at=moment).text == render(fresh, at=moment).text
        assert len(shown) > 1

    def test_it_follows_the_directory_and_the_organisation(self, tmp_path: Path) -> None:
        source = "{{ sender.title }}{{ manager.displayName }}{{ organisation.name }}{{ rule.name }}"
        templates = load_templates(write_templates(tmp_path, {"t/signature.txt.j2": source}))
        clerk, boss = person(title="Clerk"), Person(JANE.address, attributes={"title": "Boss"})
        maria = MARIA.attributes["displayName"]
        for sender, name, rule, expected in [
            (clerk, "A", "r", f"Clerk{maria}Ar"), (boss, "A", "r", "BossAr"), (clerk, "B", "r", f"Clerk{maria}Br"),
            (clerk, "B", "s", f"Clerk{maria}Bs"), (clerk, "B", "r", f"Clerk{maria}Br"),
        ]:  # fmt: skip
            assert render(templates, sender=sender, organisation={"name": name}, rule=rule).text == expected
