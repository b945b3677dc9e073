# ruff: noqa: E501 - samples stand on one line
"""Filters of our own: phones, dates, links, pictures, cards, choices."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mta.config.problems import ConfigurationError
from mta.relay.stamp.templates.filters.dates import parsed
from mta.relay.stamp.templates.filters.links import css, mailbox, with_parameters
from mta.relay.stamp.templates.filters.made_pictures import PHOTO_MAX, photo_type
from mta.relay.stamp.templates.filters.vcards import vcard, vcard_file
from mta.relay.stamp.templates.template_set import RenderError, load_templates
from tests.unit.relay.stamp.samples import NOW, write_templates
from tests.unit.relay.stamp.templates.render_samples import JPEG, PNG, html, person, render, text


class TestPhone:
    @pytest.mark.parametrize(
        ("number", "style", "expected"),
        [
            ("+44 (0)20 79460101", "international", "+44 20 7946 0101"),
            ("+44 20 7946 0101", "national", "020 7946 0101"),
            ("+44 20 7946 0101", "e164", "+442079460101"),
            ("+44 20 7946 0101", "rfc3966", "tel:+44-20-7946-0101"),
            ("020 7946 0101", "international", "+44 20 7946 0101"),
            ("+49 30 5550 1103 ext. 7", "international", "+49 30 55501103 ext. 7"),
            ("4711", "international", "4711"),
            ("4711", "rfc3966", "tel:4711"),
            ("ask Reception", "international", "ask Reception"),
            ("ask Reception", "rfc3966", ""),
            ("", "international", ""),
            ("+" + "1" * 500, "international", "+" + "1" * 500),
        ],
    )
    def test_styles_of_a_number(self, tmp_path: Path, number: str, style: str, expected: str) -> None:
        source = f"[{{{{ sender.telephoneNumber|phone('{style}') }}}}]"
        assert text(tmp_path, source, "country: GB", sender=person(telephoneNumber=number)) == f"[{expected}]"

    def test_the_country_is_the_argument_s_then_the_template_s_then_the_organisation_s(self, tmp_path: Path) -> None:
        jane = person(telephoneNumber="030 55501103", c="de")
        source = "{{ sender.telephoneNumber|phone(country=sender.c) }} {{ sender.telephoneNumber|phone }}"
        of_argument = "+49 30 55501103"
        assert text(tmp_path / "a", source, sender=jane) == f"{of_argument} 030 55501103"
        assert (
            text(tmp_path / "b", source, sender=jane, organisation={"country": "DE"}) == f"{of_argument} {of_argument}"
        )
        given = text(tmp_path / "c", source, "country: AT", sender=jane, organisation={"country": "DE"})
        assert given == f"{of_argument} +43 3055 501103"

    def test_lines_vanish_all_the_same(self, tmp_path: Path) -> None:
        source = "a\n{% line %}\nT {{ sender.telephoneNumber|phone }}\n{% endline %}\nb"
        assert text(tmp_path, source, sender=person()) == "a\nb"


class TestDate:
    @pytest.mark.parametrize(
        ("source", "expected"),
        [
            ("{{ now|date }}", "22 November 2026"),
            ("{{ now|date('full', locale='de') }}", "Sonntag, 22. November 2026"),
            ("{{ now|date('short', locale='de_AT') }}", "22.11.26"),
            ("{{ now|date('d. MMMM', locale='nb-NO') }}", "22. november"),
            ("{{ now|date('EEEE', locale='ja') }}", "日曜日"),
            ("{{ now|date('long', locale='klingon') }}", "22 November 2026"),
            ("{{ now|date('long', locale=sender.preferredLanguage) }}", "22 novembre 2026"),
            ("{{ message.date|date('medium') }}", ""),
            ("{{ '2026-12-24'|date }}", "24 December 2026"),
            ("{{ 'soon'|date }}", "soon"),
            ("{{ now|time }}", "11:30"),
            ("{{ '2026-07-01T10:00:00Z'|time }}", "12:00"),
            ("{{ '2026-12-24'|time }}", "2026-12-24"),
            ("{{ '20200501083000.0Z'|date('medium') }}", "1 May 2020"),
        ],
    )
    def test_as_a_language_writes_it(self, tmp_path: Path, source: str, expected: str) -> None:
        settings = "locale: en_GB\ntimezone: Europe/Berlin"
        if "klingon" in source:
            with pytest.raises(ConfigurationError, match="no locale 'klingon'"):
                text(tmp_path, source, settings)
            source = source.replace("'klingon'", "sender.l")
        jane = person(preferredLanguage="fr-FR, en;q=0.5", l="klingon")
        assert text(tmp_path, source, settings, sender=jane) == expected

    def test_the_organisation_s_locale_and_clocks(self, tmp_path: Path) -> None:
        late = datetime(2026, 12, 31, 23, 30, tzinfo=UTC)
        source = "{{ now|date }} {{ now.year }} {{ now.hour }}"
        organisation = {"locale": "de", "timezone": "Europe/Berlin"}
        assert text(tmp_path, source, at=late, organisation=organisation) == "1. Januar 2027 2027 0"

    @pytest.mark.parametrize(
        "value", ["2026-12-24", "20261224", "2026-12-24 10:00", "Thu, 24 Dec 2026 10:00:00 +0100", "20261224090000Z"]
    )
    def test_dates_as_directories_and_headers_write_them(self, value: str) -> None:
        found = parsed(value)
        assert found is not None
        assert (found.year, found.month, found.day) == (2026, 12, 24)

    @pytest.mark.parametrize(
        "value", ["", "x" * 500, "2026-13-45", "99999999999999Z", "0000-00-00", "\x00", "１２３４"]
    )
    def test_what_is_no_date(self, value: str) -> None:
        assert parsed(value) is None or value == "１２３４"

    def test_counting_days_and_years(self, tmp_path: Path) -> None:
        source = (
            "{{ '2026-12-24'|days_until }} {{ '2026-11-20'|days_until }} {{ '2026-11-20'|days_since }} "
            "{{ '2001-11-23'|years_since }} {{ '2001-11-22'|years_since }} {{ 2001|years_since }} [{{ 'x'|days_until }}]"
        )
        assert text(tmp_path, source) == "32 -2 2 24 25 25 []"

    def test_a_countdown_by_the_template_s_clocks(self, tmp_path: Path) -> None:
        late = datetime(2026, 12, 22, 23, 30, tzinfo=UTC)
        source = "{{ '2026-12-24'|days_until }}"
        assert text(tmp_path / "a", source, at=late) == "2"
        assert text(tmp_path / "b", source, "timezone: Europe/Berlin", at=late) == "1"


class TestLink:
    def test_parameters_of_the_template_and_of_the_filter(self, tmp_path: Path) -> None:
        settings = "campaign: {source: email, medium: signature, name: spring}"
        source = (
            "{{ 'www.example.com/a b?x=1&utm_source=own#top'|link(content=sender.department, name='autumn') }}\n"
            "{{ 'mailto:a@example.com'|link }} {{ 'javascript:alert(1)'|link }}[{{ ''|link }}]"
        )
        jane = person(department="R&D / Köln")
        expected = (
            "https://www.example.com/a%20b?x=1&utm_source=own&utm_medium=signature&utm_campaign=autumn"
            "&utm_content=R%26D%20%2F%20K%C3%B6ln#top\nmailto:a@example.com []"
        )
        assert text(tmp_path, source, settings, sender=jane) == expected

    @pytest.mark.parametrize(
        ("address", "expected"),
        [
            ("https://a.example", "https://a.example?utm_id=1"),
            ("https://a.example/?", "https://a.example/?utm_id=1"),
            ("https://a.example/?b&", "https://a.example/?b&utm_id=1"),
            ("https://a.example/#f?x", "https://a.example/?utm_id=1#f?x"),
            ("https://a.example/%7e?q=%26", "https://a.example/%7e?q=%26&utm_id=1"),
            ("https://a.example/?utm%5Fid=9", "https://a.example/?utm%5Fid=9"),
            ("tel:+1", "tel:+1"),
        ],
    )
    def test_what_is_there_stays(self, address: str, expected: str) -> None:
        assert with_parameters(address, {"utm_id": "1"}) == expected

    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            ("#17707c", "#17707c"),
            ("rgb(1, 2, 3)", "rgb(1, 2, 3)"),
            ("Segoe UI, Arial", "Segoe UI, Arial"),
            ("12.5px", "12.5px"),
            ("red; background: url(https://evil.example)", ""),
            ("url(x)", ""),
            ("expression(alert(1))", ""),
            ("red}body{display:none", ""),
            ("\\75rl(x)", ""),
            ("a'b", ""),
            ("/**/x", ""),
        ],
    )
    def test_css(self, value: str, expected: str) -> None:
        assert css(value) == expected

    def test_mailbox(self) -> None:
        assert mailbox("o'neil+x@example.com") == "o%27neil+x@example.com"
        assert mailbox("a@b.example?bcc=c@d.example&body=x,y%0a") == "a@b.example%3Fbcc=c@d.example%26body=x%2Cy%250a"


class TestPictures:
    def test_a_photo_goes_with_the_message(self, tmp_path: Path) -> None:
        source = '<img data-line src="{{ sender|photo }}" width="96" height="96" alt="{{ sender.displayName }}">x'
        done = html(tmp_path, source, sender=person(JPEG, displayName="Jane"))
        (picture,) = done.pictures
        assert (picture.content_type, picture.data, picture.filename) == ("image/jpeg", JPEG, "photo.jpg")
        assert f'src="cid:{picture.cid}"' in done.html
        assert done.text == "x"

    @pytest.mark.parametrize("photo", [b"", b"MZ program", b"GIF89a" + b"\0" * 9, PNG + b"\0" * PHOTO_MAX, b"<svg/>"])
    def test_without_one_the_line_vanishes_or_another_picture_is_shown(self, tmp_path: Path, photo: bytes) -> None:
        source = '<p data-line><img src="{{ sender|photo }}"></p>x'
        assert html(tmp_path / "a", source, sender=person(photo)).html == "x"
        settings = "pictures: [{file: nobody.png}]"
        files: dict[str, str | bytes] = {"nobody.png": PNG, "template.yaml": settings}
        instead = html(tmp_path / "b", "<img src=\"{{ sender|photo('nobody.png') }}\">", files, sender=person(photo))
        assert [picture.filename for picture in instead.pictures] == ["nobody.png"]
        files["template.yaml"] = f"{settings}\ndefaults: {{sender.photo: nobody}}"
        default = html(tmp_path / "c", '<img src="{{ sender|photo }}">', files, sender=person(photo))
        assert [picture.filename for picture in default.pictures] == ["nobody.png"]

    def test_a_photo_that_has_to_be(self, tmp_path: Path) -> None:
        files = {"template.yaml": "required: [sender.photo]"}
        with pytest.raises(RenderError, match=r"^t/signature\.html\.j2:2: sender\.photo has no value$"):
            html(tmp_path, '\n<img src="{{ sender|photo }}">', files, sender=person())

    def test_photos_are_pictures_by_content(self) -> None:
        assert photo_type(PNG) == ("image/png", "png")
        assert photo_type(JPEG) == ("image/jpeg", "jpg")

    def test_a_qr_code_is_a_picture(self, tmp_path: Path) -> None:
        source = '<img src="{{ \'https://www.example.com\'|qr(scale=2, dark="#17707c") }}">'
        done = html(tmp_path, source)
        (picture,) = done.pictures
        assert picture.content_type == "image/png"
        assert picture.data.startswith(b"\x89PNG")
        assert f'"cid:{picture.cid}"' in done.html

    def test_a_qr_code_holds_the_person(self, tmp_path: Path) -> None:
        source = '<img src="{{ sender|qr }}">'
        templates = load_templates(write_templates(tmp_path, {"t/signature.html.j2": source}))
        first, again, other = (
            render(templates, sender=person(displayName=name)).pictures[0] for name in ("Jane", "Jane", "John")
        )
        assert first == again
        assert first.data != other.data

    @pytest.mark.parametrize("value", ["", " ", "ü" * 501])
    def test_too_much_or_nothing_gives_no_code(self, tmp_path: Path, value: str) -> None:
        source = '<p data-line><img src="{{ sender.info|qr }}"></p>x'
        assert html(tmp_path, source, sender=person(info=value)).html == "x"

    @pytest.mark.parametrize("options", ["scale=99", "border=99", "dark='red'", "level='z'", "light='url(x)'"])
    def test_options_out_of_bounds_fail(self, tmp_path: Path, options: str) -> None:
        with pytest.raises(RenderError, match=r"qr: "):
            html(tmp_path, f'<img src="{{{{ sender.mail|qr({options}) }}}}">')

    def test_each_message_has_pictures_of_its_own(self, tmp_path: Path) -> None:
        templates = load_templates(write_templates(tmp_path, {"t/signature.html.j2": '<img src="{{ sender|photo }}">'}))
        jane = person(PNG)
        first, second = (render(templates, sender=jane, message_id=name).pictures[0] for name in ("1@x", "2@x"))
        assert first.cid != second.cid

    def test_linked_and_dark_pictures(self, tmp_path: Path) -> None:
        files: dict[str, str | bytes] = {
            "a.png": PNG, "b.png": PNG, "b-dark.png": PNG,
            "template.yaml": "pictures:\n  - {file: a.png, url: 'https://cdn.example.com/a.png?x=1&y=2'}\n  - {file: b.png, dark: b-dark.png}\n",
        }  # fmt: skip
        done = html(
            tmp_path, '<img src="a.png" width="1"><img class="x" src="b.png" style="display: block; width: 9px">', files
        )
        assert 'src="https://cdn.example.com/a.png?x=1&amp;y=2"' in done.html
        assert [picture.filename for picture in done.pictures] == ["b.png", "b-dark.png"]
        assert "@media (prefers-color-scheme: dark) { .sl-if-light { display: none !important }" in done.html
        assert 'class="x sl-if-light"' in done.html
        assert 'style="width: 9px; display: none; mso-hide: all"' in done.html


class TestCards:
    VALUES = {
        "displayName": "Jane Döe; Sales, Ltd", "givenName": "Jane", "sn": "D\\oe", "company": "A;B", "telephoneNumber": "+44 1",
        "mail": "j@example.com", "streetAddress": "1 Street", "l": "London", "co": "United Kingdom", "wWWHomePage": "www.example.com",
    }  # fmt: skip

    def test_a_card_is_escaped(self) -> None:
        assert vcard(lambda name: self.VALUES.get(name, "")).splitlines() == [
            "BEGIN:VCARD", "VERSION:3.0", "N:D\\\\oe;Jane;;;", "FN:Jane Döe\\; Sales\\, Ltd", "ORG:A\\;B", "TEL;TYPE=WORK,VOICE:+44 1",
            "EMAIL;TYPE=INTERNET,WORK:j@example.com", "ADR;TYPE=WORK:;;1 Street;London;;;United Kingdom", "URL:https://www.example.com",
            "END:VCARD",
        ]  # fmt: skip

    def test_version_4(self) -> None:
        lines = vcard(lambda name: self.VALUES.get(name, ""), "4.0").splitlines()
        assert lines[1] == "VERSION:4.0"
        assert 'TEL;TYPE="work,voice":+44 1' in lines

    def test_a_file_is_folded_at_75_octets_between_characters(self) -> None:
        data = vcard_file(lambda name: "ü" * 200 if name == "title" else "")
        lines = data.split(b"\r\n")
        assert all(len(line) <= 75 for line in lines)
        assert b"TITLE:" + "ü".encode() * 200 in data.replace(b"\r\n ", b"")
        assert all(line.decode() is not None for line in lines)

    def test_no_value_adds_a_property(self, tmp_path: Path) -> None:
        source = "{{ sender|vcard }}"
        jane = person(displayName="Jane\r\nTEL:0900\n", wWWHomePage="x\r\nNOTE:y", title="a\u2028EMAIL:z")
        names = [line.partition(":")[0] for line in text(tmp_path, source, sender=jane).splitlines()]
        assert names == ["BEGIN", "VERSION", "N", "FN", "TITLE", "EMAIL;TYPE=INTERNET,WORK", "URL", "END"]


class TestChoose:
    def test_the_same_for_every_attempt_and_in_both_formats(self, tmp_path: Path) -> None:
        source = "{{ ['a', 'b', 'c']|choose }}{{ [1, 2, 3]|choose }}"
        templates = load_templates(
            write_templates(tmp_path, {"t/signature.txt.j2": source, "t/signature.html.j2": source})
        )
        found = set()
        for number in range(40):
            done = [render(templates, message_id=f"{number}@x") for _ in range(2)]
            assert done[0].text == done[0].html == done[1].text
            found.add(done[0].text)
        assert found == {"a1", "b2", "c3"}

    def test_by_day_week_and_month_one_after_the_other(self, tmp_path: Path) -> None:
        monday = datetime(2026, 11, 2, 12, tzinfo=UTC)
        days = {"day": range(6), "week": range(0, 42, 7), "month": (0, 30, 61, 92, 120, 151)}
        for by in ("day", "month", "week"):
            source = "{{ ['a', 'b', 'c']|choose(by='" + by + "') }}"
            templates = load_templates(write_templates(tmp_path / by, {"t/signature.txt.j2": source}))
            row = "".join(render(templates, at=monday + timedelta(days=n)).text for n in days[by])
            assert row in "abcabcabcab"
        same_week = {render(templates, at=monday + timedelta(days=n)).text for n in range(7)}
        assert len(same_week) == 1

    def test_by_sender(self, tmp_path: Path) -> None:
        templates = load_templates(
            write_templates(tmp_path, {"t/signature.txt.j2": "{{ ['a', 'b']|choose(by='sender') }}"})
        )
        assert len({render(templates, message_id=f"{n}@x").text for n in range(9)}) == 1

    def test_an_empty_list_gives_nothing(self, tmp_path: Path) -> None:
        assert text(tmp_path, "[{{ []|choose }}]") == "[]"

    @pytest.mark.parametrize("source", ["{{ 'abc'|choose }}", "{{ [1]|choose(by=sender.title) }}"])
    def test_what_can_not_be_chosen_from(self, tmp_path: Path, source: str) -> None:
        with pytest.raises(RenderError, match=r"^t/signature\.txt\.j2:1: choose: "):
            text(tmp_path, source, sender=person(title="hour"))


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a\n{{ sender.mail|phone('loud') }}", "t/signature.txt.j2:2:0: phone: no style 'loud' (there are international, national, rfc3966, e164)"),
        ("{{ [1]|choose(by='hour') }}", "choose: no by 'hour' (there are message, sender, day, week, month)"),
        ("{{ now|date('qqqqqqqq') }}", "date: no pattern 'qqqqqqqq'"),
        ("{{ now|date(locale='xx_YY_ZZ') }}", "date: no locale 'xx_YY_ZZ' (write it as en_GB)"),
        ("{{ 'x'|link(utm='y') }}", "link: no parameter 'utm' (there are source, medium, name, content, term, id)"),
        ("{{ sender.mail|photo }}", "photo is made of sender, recipient or manager (write sender|photo)"),
        ("{{ organisation|vcard }}", "vcard is made of sender, recipient or manager"),
        ("{{ sender.photo|upper }}{{ sendr|photo }}", "unknown name 'sendr'"),
    ],
)  # fmt: skip
def test_arguments_are_checked_at_load(tmp_path: Path, source: str, expected: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_templates(write_templates(tmp_path, {"t/signature.txt.j2": source}))
    assert any(expected in str(problem) for problem in caught.value.problems), caught.value.problems


def test_errors_name_file_line_and_variable(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        "_p/a.html.j2": "<p>\n\n{{ sender.title + 1 }}</p>",
        "t/signature.html.j2": "<style>\n p { color: red }\n</style>\n<p>\n  x\n</p>\n{% include '_p/a.html.j2' %}",
    }
    with pytest.raises(RenderError, match=r"^_p/a\.html\.j2:3: "):
        render(load_templates(write_templates(tmp_path, files)), at=NOW)
