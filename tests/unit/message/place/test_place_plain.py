"""`|` marks where the stamp has to go."""

from __future__ import annotations

import pytest

from mta.message.place.place_plain import own_text, place_plain
from mta.message.place.placement import BodyView
from mta.message.place.quote_marks import compile_separators
from mta.message.place.separators import DEFAULT
from mta.model.actions import Place


def position(text: str, place: Place, *, is_reply: bool = True) -> int:
    return place_plain(BodyView(text), place, is_reply).position


ABOVE = [
    "Hi\n\n|On Mon, 2 May 2024 at 10:00, A <a@example.com> wrote:\n> Old\n",
    "Hi\r\n\r\n|On Mon, 2 May 2024 at 10:00, A\r\n<a@example.com> wrote:\r\n\r\n> Old\r\n",
    "Hi\n\n|On Mon, 2 May 2024 at 10:00, Somebody with a\nlong name <a@example.com\n> wrote:\n\n> Old\n",
    "Thanks, bye\n|A wrote:\n> Old\n",
    "Hi\n\n|Am 02.05.2024 um 10:00 schrieb A:\n> Old\n",
    "Hi\n\n|Le lun. 2 mai 2024 à 10:00, A <a@example.com> a écrit :\n\n> Old\n",
    "Hi\n\n|El lun, 2 may 2024 a las 10:00, A (<a@example.com>) escribió:\n\n> Old\n",
    "Hi\n\n|Il giorno lun 2 mag 2024 alle ore 10:00 A <a@example.com> ha\nscritto:\n\n> Old\n",
    "Hi\n\n|Op ma 2 mei 2024 om 10:00 schreef A <a@example.com>:\n\n> Old\n",
    "Hi\n\n|Em seg., 2 de mai. de 2024 às 10:00, A <a@example.com> escreveu:\n\n> Old\n",
    "Hi\n\n|пн, 2 мая 2024 г. в 10:00, A <a@example.com>:\n\n> Old\n",
    "Hi\n\n|W dniu 2.05.2024 o 10:00, A pisze:\n> Old\n",
    "Hi\n\n|2024年5月2日(木) 10:00 A <a@example.com>:\n\n> Old\n",
    "Hi\n\n|2024-05-02 10:00 GMT+02:00 A <a@example.com>:\n\n> Old\n",
    "Hi\n\n|On 2 May 2024, A wrote:\n\nOld, and nothing marks it\n",
    "Hi\n\n|-----Original Message-----\nFrom: A\nOld\n",
    "Hi\n\n|-----Ursprüngliche Nachricht-----\nVon: A\n",
    "Hi\n\n|-------- Message d'origine --------\nDe : A\n",
    "Hi\n\n|---------- Forwarded message ---------\nFrom: A\n",
    "Hi\n\n|Begin forwarded message:\n\n> From: A\n",
    "Hi\n\n|________________________________\nFrom: A <a@example.com>\nSent: Monday\nTo: B\nSubject: x\n\nOld\n",
    "Hi\n\n|From: A\nSent: Monday\nTo: B; C;\n D\nSubject: x\n\nOld\n",
    "Hi\n\n|*Von:* A\n*Gesendet:* Montag\n*An:* B\n*Betreff:* x\n",
    "Hi\n\n|差出人: A\n送信日時: 2024\n宛先: B\n件名: x\n",
    "Hi\n\n|> Old\n> older\n",
    "|-----Original Message-----\nFrom: A\n",
    "I quote:\n> one\nYes to that.\n\n|From: A\nSent: Monday\nTo: B\nSubject: x\n",
    "Hi, thank you\n\n|On 2 May 2024, A wrote:\n> Old\n\n-- \nThe list's footer, which is longer than the reply\n",
    "Hi\n\n|On 2 May 2024, A wrote:\n> a line that is too long for somebody and so\nbroken\n> here\n",
]
END = [
    "Hi\n|",
    "Hi|",
    "|",
    "> Question?\nAnswer\n|",
    "On 2 May 2024, A wrote:\n> Question?\n\nAnswer\n|",
    "On 2 May 2024, A wrote:\n> 1?\nYes\n> 2?\nNo\n|",
    "Hello,\n\n> 1?\n\nYes, and this is a whole paragraph\n\n> 2?\n|",
    "Meeting\nDate: 5 May\nFrom: 9:00\nTo: 10:00\n|",
    "He wrote: nothing\n|",
    "To: do\nSubject: matters\n|",
]


@pytest.mark.parametrize("expected", ABOVE)
def test_above_the_quoted_part(expected: str) -> None:
    assert position(expected.replace("|", ""), Place.REPLY) == expected.index("|")


@pytest.mark.parametrize("expected", END)
def test_at_the_end_where_nothing_is_quoted_or_the_reply_stands_below(expected: str) -> None:
    assert position(expected.replace("|", ""), Place.REPLY) == expected.index("|")


def test_a_single_arrow_in_a_new_message_is_no_quote() -> None:
    text = "Press\n> Start\n"
    assert position(text, Place.REPLY, is_reply=False) == len(text)
    assert position(text, Place.REPLY, is_reply=True) < len(text)


@pytest.mark.parametrize(
    ("text", "place", "expected"),
    [
        ("Hi\n", Place.BOTTOM, "Hi\n\nS\n"),
        ("Hi", Place.BOTTOM, "Hi\n\nS\n"),
        ("Hi\n\n", Place.BOTTOM, "Hi\n\nS\n"),
        ("Hi \r\n", Place.BOTTOM, "Hi \r\n\nS\n"),
        ("", Place.BOTTOM, "S\n"),
        ("Hi\n", Place.TOP, "S\n\nHi\n"),
        ("\ufeffHi\n", Place.TOP, "\ufeffS\n\nHi\n"),
        ("Hi\n> Old\n", Place.REPLY, "Hi\n\nS\n\n> Old\n"),
        ("Hi\n\n> Old\n", Place.REPLY, "Hi\n\nS\n\n> Old\n"),
        ("> Old\n> older\n", Place.REPLY, "S\n\n> Old\n> older\n"),
    ],
)
def test_blank_lines_keep_the_stamp_apart(text: str, place: Place, expected: str) -> None:
    found = place_plain(BodyView(text), place, True)
    assert text[: found.position] + found.before + "S" + found.after + text[found.position :] == expected


def test_own_text_is_what_is_not_quoted() -> None:
    assert own_text(BodyView("Hi\n\n-----Original Message-----\nOld"), True) == "Hi\n\n"
    assert own_text(BodyView("> Question?\nAnswer"), True) == "Answer"


def test_separators_of_the_administrator() -> None:
    marks = compile_separators(DEFAULT.adding(["== Reply Above =="]))
    text = "Hi\n\n== reply above ==\nOld\n"
    assert place_plain(BodyView(text), Place.REPLY, True, marks).position == 4
    assert place_plain(BodyView(text), Place.REPLY, True).position == len(text)


@pytest.mark.parametrize(
    "unit", ["> x\n", "x\n> y\n", "From: a\n", "a wrote:\n", "-----\n", "\n", ":", " ", ">", "_", "<@>:\n"]
)
def test_what_costs_more_than_its_size_runs_into_the_time_out(unit: str) -> None:
    text = f"Hi\n{unit * 50_000}\n> z\n> z\n"
    assert 0 <= place_plain(BodyView(text), Place.REPLY, True).position <= len(text)
