"""`stampline preview`."""

from __future__ import annotations

import json
import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from mta.cli import main
from mta.cli.chromium import Chromium, View
from mta.cli.preview_report import warnings
from mta.message.structure import Picture
from tests.unit.cli.installation import demonstration

JANE = "jane.doe@example.com"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return demonstration(tmp_path)


def preview(config: Path, template: str, *more: str, sender: str = JANE) -> int:
    output = str(config.parent / "out")
    return main(["preview", template, "--as", sender, "--config", str(config), "--output", output, *more])


def written(config: Path, name: str) -> str:
    return (config.parent / "out" / name).read_text()


class TestFiles:
    def test_html_with_its_pictures_and_text(self, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert preview(config, "photo") == 0
        page, text = written(config, "photo.html"), written(config, "photo.txt")
        assert page.count('src="data:image/png;base64,') == 2
        assert "cid:" not in page
        assert text.index("Kind regards") < text.index("T  +44 20 7946 0101")
        printed = capsys.readouterr().out
        assert printed.startswith("adds ")
        assert printed.splitlines()[-1].endswith("photo.txt")

    def test_in_a_reply_it_stands_above_the_older_message(self, config: Path) -> None:
        assert preview(config, "corporate", "--reply") == 0
        for name in ("corporate-reply.html", "corporate-reply.txt"):
            content = written(config, name)
            assert content.index("Kind regards") < content.index("Account Manager") < content.index("From:")

    def test_a_place_of_its_own(self, config: Path) -> None:
        more = ("--place", "top", "--to", JANE)
        assert preview(config, "external-warning", *more, sender="eve@partner.example") == 0
        text = written(config, "external-warning.txt")
        assert text.startswith(
            "[ EXTERNAL SENDER: this message comes from outside Example Ltd, from eve@partner.example."
        )

    def test_at_a_time(self, config: Path) -> None:
        assert preview(config, "banner", "--at", "2026-12-20T12:00+00:00") == 0
        assert "Season's greetings" in written(config, "banner.txt")
        assert preview(config, "banner", "--at", "2027-02-20T12:00+00:00") == 0
        assert "Answers in one place" in written(config, "banner.txt")

    def test_a_mail_has_a_subject(self, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert preview(config, "receipt", sender="eve@partner.example") == 0
        assert capsys.readouterr().out.startswith("subject: Your message has arrived: Your enquiry\n")
        assert "Kind regards" not in written(config, "receipt.txt")


class TestReport:
    def test_missing_values(self, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert preview(config, "photo", "--json", sender="sam.sample@example.com") == 0
        report = json.loads(capsys.readouterr().out)
        missing = {(entry["value"], entry["file"]) for entry in report["missing"]}
        assert ("sender.photo", "photo/signature.html.j2") in missing
        assert ("sender.telephoneNumber", "corporate/signature.txt.j2") in missing
        assert all(entry["line"] > 0 for entry in report["missing"])
        assert {entry["instead"] for entry in report["missing"]} == {"it is empty, and a line that prints it vanishes"}
        assert report["kB"]["html"] > 1
        assert [Path(file).suffix for file in report["files"]] == [".html", ".txt"]

    def test_who_is_not_in_the_directory(self, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert preview(config, "disclaimer", sender="jane.do@example.com") == 0
        assert "warning: jane.do@example.com is not in the directory\n" in capsys.readouterr().out
        assert preview(config, "disclaimer", sender="eve@partner.example") == 0
        assert "warning" not in capsys.readouterr().out

    @pytest.mark.parametrize(
        ("html", "expected"),
        [
            ("<p>" + "x" * 101_000 + "</p>", "101 kB of HTML: Gmail clips messages of more than 102 kB"),
            ("<p>" + "x" * 21_000 + "</p>", "21 kB of HTML: every reply of a conversation grows by it"),
            ('<table width="700">', "<table> is 700 pixels wide: more than 650 runs over in reading panes"),
            ('<td style="width: 800px">', "<td> is 800 pixels wide: more than 650 runs over in reading panes"),
            ('<img src="cid:logo-1@x" width="9">', "picture cid:logo has no alt"),
            ('<img src="cid:logo-1@x" alt="">', "picture cid:logo has no width in pixels"),
            ('<img src="https://x.example/a.png" alt="" width="9">', "is linked: most programs ask readers"),
            ('<div style="display: flex">', "Outlook on Windows ignores 'display: flex' of <div>"),
            ('<td style="background: #fff url(x)">', "Outlook on Windows ignores"),
            ('<a href="http://x.example">', "a link without encryption: http://x.example"),
        ],
    )
    def test_warnings(self, html: str, expected: str) -> None:
        assert any(expected in warning for warning in warnings(html, "x", ()))

    def test_what_is_in_order_is_not_warned_of(self) -> None:
        html = (
            '<table width="600" style="max-width: 900px"><tr><td><img src="cid:a" alt="" width="600"></td></tr></table>'
        )
        assert list(warnings(html, "x", ())) == []

    def test_no_text_and_heavy_pictures(self) -> None:
        picture = Picture("a", "image/png", "a.png", b"x" * 200_001)
        assert len(list(warnings("<p>x</p>", "", (picture,)))) == 2


class TestMistakes:
    @pytest.mark.parametrize(
        ("arguments", "code", "said"),
        [
            (["corprate", "--as", JANE], 2, "there is no template 'corprate'; did you mean 'corporate'?"),
            (["corporate", "--as", "jane"], 2, "'jane' is no address"),
            (["corporate", "--as", JANE, "--at", "soon"], 2, "'soon' is no time"),
            (["corporate", "--as", JANE, "--organisation", "exmple"], 2, "there is no organisation 'exmple'"),
            (
                ["corporate", "--as", "x@example.com"],
                1,
                "corporate/signature.html.j2:16: sender.displayName has no value",
            ),
            (["corporate", "--as", JANE, "--output", "/dev/null/x"], 1, "cannot write to /dev/null/x"),
        ],
    )
    def test_are_told(
        self, config: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, said: str
    ) -> None:
        more = [] if "--output" in arguments else ["--output", str(config.parent / "out")]
        assert main(["preview", *arguments, "--config", str(config), *more]) == code
        assert said in capsys.readouterr().err

    def test_no_browser(
        self, config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PATH", str(config.parent))
        assert preview(config, "corporate", "--png") == 1
        assert "no Chromium on PATH for --png: install Debian's chromium-headless-shell" in capsys.readouterr().err
        assert "Jane Doe" in written(config, "corporate.txt")

    def test_a_browser_that_is_none(
        self, config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder = config.parent / "bin"
        folder.mkdir()
        (folder / "chromium").write_text("#!/bin/sh\nexit 1\n")
        (folder / "chromium").chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
        monkeypatch.setattr("mta.cli.chromium.NAMES", ("chromium",))
        assert preview(config, "corporate", "--png") == 1
        assert "no pictures: " in capsys.readouterr().err


def pixels(png: bytes, count: int = 5_000) -> tuple[int, int, list[bytes]]:
    """Width, height and the first rows of a PNG of 8 bits a channel (PNG specification §9, filtering)."""
    width, height = struct.unpack(">II", png[16:24])
    step = {2: 3, 6: 4}[png[25]]
    at, data = 8, b""
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        data += png[at + 8 : at + 8 + length] if png[at + 4 : at + 8] == b"IDAT" else b""
        at += length + 12
    data = zlib.decompress(data)
    rows = [bytes(step * width)]
    for start in range(0, len(data), step * width + 1)[:count]:
        row, above = bytearray(step * width), rows[-1]
        for n, value in enumerate(data[start + 1 : start + 1 + step * width]):
            left, up, corner = (row[n - step], above[n], above[n - step]) if n >= step else (0, above[n], 0)
            nearest = min((left, up, corner), key=lambda each: abs(left + up - corner - each))
            row[n] = (value + (0, left, up, (left + up) // 2, nearest)[data[start]]) & 255
        rows.append(bytes(row))
    return width, height, rows[1:]


def colours(rows: list[bytes]) -> set[bytes]:
    """Of a picture of 210 pixels' width."""
    step = len(rows[0]) // 210
    return {row[n : n + 3] for row in rows for n in range(0, len(row), step)}


@pytest.mark.server
class TestChromium:
    @pytest.fixture
    def browser(self, chromium: str) -> Iterator[Chromium]:
        with Chromium(chromium) as browser:
            yield browser

    @pytest.mark.usefixtures("chromium")
    def test_pictures_of_every_view(self, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert preview(config, "banner", "--png", "--json") == 0
        files = [Path(file) for file in json.loads(capsys.readouterr().out)["files"] if file.endswith(".png")]
        shown = {file.stem.removeprefix("banner-"): pixels(file.read_bytes(), 1) for file in files}
        assert {name: width for name, (width, _, _) in shown.items()} == {
            "desktop": 800, "phone": 780, "dark": 800, "forced-dark": 800,
        }  # fmt: skip
        first = {name: rows[0][:3] for name, (_, _, rows) in shown.items()}
        assert first["desktop"] == first["phone"] == b"\xff\xff\xff"
        assert max(first["dark"]) < 64
        assert max(first["forced-dark"]) < 64

    def test_a_page_gets_neither_scripts_nor_files_nor_the_network(self, browser: Chromium, tmp_path: Path) -> None:
        secret = tmp_path / "secret.html"
        secret.write_text('<body style="background: #ff0000; margin: 0"><div style="height: 3000px">x</div>')
        page = (
            '<!DOCTYPE html><body style="background: #ffffff; margin: 0">'
            '<script>document.body.style.background = "#ff0000"</script>'
            '<img src="x" onerror="document.body.style.background = \'#ff0000\'">'
            f'<iframe src="file://{secret}" width="200" height="100" style="border: 0"></iframe>'
            f'<link rel="stylesheet" href="file://{secret}"><img src="file://{secret}">'
            '<meta http-equiv="refresh" content="0; url=http://127.0.0.1:1/"><img src="http://127.0.0.1:1/x.png">'
        )
        red = b"\xff\0\0"
        assert red not in colours(pixels(browser.shoot(page, View(210)).png)[2])
        # The test can tell:
        shown = browser.shoot('<!DOCTYPE html><body style="background: #ff0000">', View(210))
        assert red in colours(pixels(shown.png)[2])

    def test_a_page_that_would_go_elsewhere_is_shown_where_it_is(self, browser: Chromium) -> None:
        page = (
            '<!DOCTYPE html><body style="background: #ff0000"><iframe src="file:///etc/hostname"></iframe>'
            '<meta http-equiv="refresh" content="0; url=http://127.0.0.1:1/">'
        )
        for _ in range(6):  # it goes at any moment
            assert b"\xff\0\0" in colours(pixels(browser.shoot(page, View(210)).png)[2])

    def test_a_browser_that_hangs_at_its_start_is_started_once_more(self, chromium: str, tmp_path: Path) -> None:
        hangs_first = tmp_path / "browser"
        hung = tmp_path / "hung"
        hangs_first.write_text(f'#!/bin/sh\n[ -e {hung} ] && exec {chromium} "$@"\ntouch {hung}\nexec sleep 60\n')
        hangs_first.chmod(0o755)
        with Chromium(str(hangs_first), start_s=0.5) as browser:
            assert browser.shoot("<p>there</p>", View(width=200)).width <= 200
        assert hung.exists()

    def test_long_pages_are_cut_and_wide_ones_told(self, browser: Chromium) -> None:
        shot = browser.shoot('<!DOCTYPE html><div style="width: 900px; height: 90000px">x</div>', View(20))
        assert shot.width >= 900
        assert pixels(shot.png, 0)[1] == 4000

    def test_several_views_of_one_page(self, browser: Chromium) -> None:
        page = '<!DOCTYPE html><meta name="color-scheme" content="light dark"><p>x</p>'
        light, dark = (browser.shoot(page, View(200, prefers_dark=dark)).png for dark in (False, True))
        assert light != dark
