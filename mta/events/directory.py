"""The directory."""

from __future__ import annotations

from mta.events.log import emit


def directory_server_failed(server: str, *, error: str, again_in_s: float) -> None:
    """Another server is asked, where there is one."""
    emit("warning", "directory-server-failed", server=server, error=error, again_in_s=round(again_in_s, 1))


def directory_server_back(server: str) -> None:
    emit("info", "directory-server-back", server=server)


def directory_down(source: str, *, error: str) -> None:
    """No server answers; what is cached is used until one does."""
    emit("error", "directory-down", source=source, error=error)


def directory_up(source: str, *, down_s: float) -> None:
    emit("info", "directory-up", source=source, down_s=round(down_s, 1))


def directory_stale(source: str, *, entries: int, oldest_s: float) -> None:
    """Entries past their time were used because no server answers; said once a minute."""
    emit("warning", "directory-stale", source=source, entries=entries, oldest_s=round(oldest_s))


def directory_loaded(source: str, *, people: int, took_s: float) -> None:
    emit("info", "directory-loaded", source=source, people=people, took_s=round(took_s, 1))
