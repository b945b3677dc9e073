"""Messages for tests, and many of them at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from tests.servers.client import SmtpClient

CONNECTIONS = 8


def simple_message(
    number: int | str = 1,
    *,
    sender: str = "jane@example.com",
    to: str = "customer@customer.example",
    subject: str = "Hello",
    text: str = "Good morning.",
    headers: str = "",
) -> bytes:
    """A small alternative message with its own Message-ID; `headers` are further CRLF-terminated lines."""
    return (
        f"From: Jane Doe <{sender}>\r\nTo: <{to}>\r\nSubject: {subject}\r\n"
        f"Date: Sun, 22 Nov 2026 10:00:00 +0000\r\nMessage-ID: <{number}@mail.example.com>\r\n{headers}"
        'MIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary="=_b"\r\n\r\n'
        f'--=_b\r\nContent-Type: text/plain; charset="utf-8"\r\nContent-Transfer-Encoding: 8bit\r\n\r\n'
        f'{text}\r\n\r\n--=_b\r\nContent-Type: text/html; charset="utf-8"\r\n'
        f"Content-Transfer-Encoding: 8bit\r\n\r\n<html><body><p>{text}</p></body></html>\r\n\r\n"
        "--=_b--\r\n"
    ).encode()


@dataclass
class Load:
    """Sends numbered messages over several connections, and again where there was no 250, until told to stop."""

    port: int
    make: Callable[[int], bytes]
    sender: str = "jane@example.com"
    recipients: Sequence[str] = ("customer@customer.example",)
    acknowledged: set[int] = field(default_factory=set)
    attempts: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self, numbers: Sequence[int], *, connections: int = CONNECTIONS) -> None:
        """Return when every number has its 250, or after `stop`."""
        todo = list(reversed(numbers))

        def take() -> int | None:
            with self._lock:
                return todo.pop() if todo and not self._stop.is_set() else None

        with ThreadPoolExecutor(connections) as pool:
            for result in [pool.submit(self._work, take) for _ in range(connections)]:
                result.result()

    def stop(self) -> None:
        self._stop.set()

    def _work(self, take: Callable[[], int | None]) -> None:
        client: SmtpClient | None = None
        number = take()
        while number is not None and not self._stop.is_set():
            try:
                client = client or SmtpClient(self.port, timeout_s=60)
                self.attempts += 1
                answer = client.send(self.sender, self.recipients, self.make(number))
            except OSError:  # killed, or not yet there again
                client = self._closed(client)
                self._stop.wait(0.02)
                continue
            if answer.code == 250:
                self.acknowledged.add(number)
                number = take()
        self._closed(client)

    @staticmethod
    def _closed(client: SmtpClient | None) -> None:
        if client is not None:
            client.close()
