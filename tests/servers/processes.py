"""What /proc says about a process and those that it started."""

from __future__ import annotations

import os
from pathlib import Path

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")


def _stat(pid: int) -> list[str]:
    try:
        text = (_PROC / str(pid) / "stat").read_text()
    except OSError:  # it has ended
        return []
    return text.rpartition(")")[2].split()


def children(pid: int) -> list[int]:
    """Direct children that are alive (zombies left out)."""
    found = []
    for entry in _PROC.iterdir():
        if entry.name.isdigit():
            fields = _stat(int(entry.name))
            if fields and int(fields[1]) == pid and fields[0] != "Z":
                found.append(int(entry.name))
    return found


def command_line(pid: int) -> list[str]:
    """The arguments that the process was started with; nothing where it has ended."""
    try:
        return (_PROC / str(pid) / "cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return []


def tree(pid: int) -> list[int]:
    """The process and all its living descendants."""
    found = [pid]
    for child in children(pid):
        found += tree(child)
    return found


def session(leader: int) -> list[int]:
    """All living processes of that session, whoever started them and whether he still lives."""
    found = []
    for entry in _PROC.iterdir():
        fields = _stat(int(entry.name)) if entry.name.isdigit() else []
        if fields and int(fields[3]) == leader and fields[0] != "Z":
            found.append(int(entry.name))
    return found


def is_alive(pid: int) -> bool:
    """Whether the process runs (a zombie doesn't)."""
    fields = _stat(pid)
    return bool(fields) and fields[0] != "Z"


def state(pid: int) -> str:
    """One letter, as ps(1) shows it: R runs, S sleeps, T is stopped, Z is a zombie; "" where it has ended."""
    fields = _stat(pid)
    return fields[0] if fields else ""


def tree_cpu_s(pid: int) -> float:
    """User and system time that the process, its living descendants and those already waited for have used."""
    ticks = 0
    for member in tree(pid):
        fields = _stat(member)
        if fields:
            ticks += sum(int(value) for value in fields[11:15])
    return ticks / _TICKS_PER_S


def peak_rss_mb(pid: int) -> float:
    """The most memory that the process has ever held, in MB."""
    return _memory_mb(pid, "VmHWM:")


def rss_mb(pid: int) -> float:
    """The memory that the process holds now, in MB."""
    return _memory_mb(pid, "VmRSS:")


def _memory_mb(pid: int, which: str) -> float:
    try:
        status = (_PROC / str(pid) / "status").read_text()
    except OSError:
        return 0.0
    for line in status.splitlines():
        if line.startswith(which):
            return int(line.split()[1]) / 1000
    return 0.0
