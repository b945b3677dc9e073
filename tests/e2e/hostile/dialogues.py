"""Good dialogues, and what a fuzzer makes of them: grammar-aware mutations of their lines, octets and segments."""

from __future__ import annotations

import random

CONTENT = b"From: <jane@example.com>\r\nTo: <john@example.com>\r\nSubject: fuzz\r\n\r\n..text\r\n.more\r\n"
RCPT = [b"MAIL FROM:<jane@example.com>\r\n", b"RCPT TO:<john@example.com>\r\n"]
SEEDS: list[list[bytes]] = [
    [b"EHLO x\r\n", *RCPT, b"DATA\r\n", *CONTENT.splitlines(True), b".\r\n", b"QUIT\r\n"],
    [b"EHLO x\r\n", *RCPT, b"DATA\r\n", CONTENT + b".\r\n", *RCPT, b"DATA\r\n", CONTENT + b".\r\n", b"QUIT\r\n"],
    [b"EHLO x\r\n", *RCPT, b"BDAT %d LAST\r\n" % len(CONTENT), CONTENT, b"QUIT\r\n"],
    [b"EHLO x\r\n", *RCPT, b"BDAT 20\r\n", CONTENT[:20], b"BDAT %d\r\n" % (len(CONTENT) - 20), CONTENT[20:],
     b"BDAT 0 LAST\r\n", b"NOOP\r\n"],
    [b"HELO x\r\n", *RCPT, b"RCPT TO:<jane@example.com>\r\n", b"RSET\r\n", *RCPT, b"DATA\r\n", b".\r\n"],
    [b"EHLO x\r\n", b"MAIL FROM:<> SIZE=100 BODY=8BITMIME RET=HDRS ENVID=QQ+2B314\r\n",
     b"RCPT TO:<john@example.com> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;j+2Bx@example.com\r\n",
     b"DATA\r\n", CONTENT, b".\r\n"],
    [b"EHLO x\r\n", "MAIL FROM:<jörg@example.org> SMTPUTF8\r\n".encode(), "RCPT TO:<jörg@example.com>\r\n".encode(),
     b"DATA\r\n", CONTENT, b".\r\n"],
    [b"EHLO x\r\n", b"VRFY jane\r\n", b"EXPN staff\r\n", b"HELP\r\n", b"NOOP x\r\n", b"RSET\r\n", b"QUIT\r\n"],
    [b"EHLO x\r\n", b"AUTH PLAIN AGphbmUAc2VjcmV0\r\n", b"AUTH LOGIN\r\n", b"amFuZQ==\r\n", b"c2VjcmV0\r\n", *RCPT],
    [b"EHLO x\r\n", b"STARTTLS\r\n", b"EHLO x\r\n", *RCPT],
    [b'EHLO x\r\n', b'MAIL FROM:<"j\\"ane x"@example.com>\r\n', b'RCPT TO:<"a b"@example.com>\r\n', b"DATA\r\n",
     b"x\r\n.\r\n"],
]  # fmt: skip
TOKENS = [
    b"\r", b"\n", b"\r\n", b"\r\n.\r\n", b"\n.\n", b".", b"..", b"\0", b" ", b"\t", b"<", b">", b"@", b'"', b"\\", b":",
    b"=", b"+", b",", b";", b"%", b"!", b"(", b"[", b"\xff", b"\xc3\xbc", b"\xe2\x80\xa8", b"DATA\r\n", b"RSET\r\n",
    b"BDAT 5\r\n", b"BDAT 0 LAST\r\n", b"BDAT 99999\r\n", b"EHLO y\r\n", b"QUIT\r\n", b"STARTTLS\r\n", b" SIZE=1",
    b" SMTPUTF8", b" NOTIFY=NEVER", b" LAST", b"x" * 600, b"x" * 3000, b"MAIL FROM:<boss@example.com>\r\n",
    b"RCPT TO:<victim@elsewhere.example>\r\n", b"RCPT TO:<victim@example.com>\r\n", b"-1", b"9" * 25, b"PROXY ",
]  # fmt: skip


def mutated(chance: random.Random) -> list[bytes]:
    """A good dialogue with some mistakes in it, in the segments in which it is to be sent."""
    lines = list(chance.choice(SEEDS))
    if chance.random() < 0.2:
        lines += chance.choice(SEEDS)[1:]
    for _ in range(chance.choice((0, 1, 1, 2, 4, 8))):
        _mutate(lines, chance)
    return _segments(b"".join(lines), chance)


def _mutate(lines: list[bytes], chance: random.Random) -> None:
    at = chance.randrange(len(lines))
    line = bytearray(lines[at])
    place = chance.randrange(len(line) + 1)
    what = chance.randrange(8)
    if what == 0 and len(lines) > 1:
        del lines[at]
        return
    if what == 1:
        lines.insert(chance.randrange(len(lines) + 1), bytes(line))
        return
    if what == 2:
        other = chance.randrange(len(lines))
        lines[at], lines[other] = lines[other], lines[at]
        return
    if what == 3 and place < len(line):
        line[place] ^= 1 << chance.randrange(8)
    elif what == 4:
        del line[place : place + chance.choice((1, 2, 10))]
    elif what == 5:
        line[place:place] = line[: chance.choice((1, 5, 50))] * chance.choice((1, 3))
    else:
        line[place:place] = chance.choice(TOKENS)
    lines[at] = bytes(line)


def _segments(said: bytes, chance: random.Random) -> list[bytes]:
    if chance.random() < 0.4:
        return [said]
    cuts = sorted(chance.randrange(len(said) + 1) for _ in range(chance.choice((1, 2, 6, 20))))
    return [said[start:end] for start, end in zip([0, *cuts], [*cuts, len(said)], strict=True) if end > start]
