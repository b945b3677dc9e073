"""Where lines go, and that no sink ever raises, waits, or loses lines in silence."""

from __future__ import annotations

import json
import os
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mta import events, log_sinks
from mta.config.schema import Logs
from mta.log_sinks import FileSink, JournaldSink, StderrSink, SyslogSink, forget_old_logs, sinks_from
from tests.servers.small_disk import small_disk

DAY, NEXT_DAY = "2026-11-22", "2026-11-23"


def _file_sink(folder: Path, keep_days: int = 3) -> FileSink:
    return FileSink(folder, "relay", keep_days=keep_days, as_json=False)


def _write(sink: events.Sink, line: str, day: str = DAY) -> None:
    sink.write("info", "x", line, day)


# --- files ---


def test_a_file_a_day(tmp_path: Path) -> None:
    sink = _file_sink(tmp_path / "log")
    _write(sink, "one")
    _write(sink, "zwei ü \udc80")
    _write(sink, "three", NEXT_DAY)
    sink.close()
    assert (tmp_path / "log/relay_2026-11-22.log").read_text() == "one\nzwei ü \\udc80\n"
    assert (tmp_path / "log/relay_2026-11-23.log").read_text() == "three\n"
    assert stat.S_IMODE((tmp_path / "log/relay_2026-11-22.log").stat().st_mode) & 0o037 == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_root_writes_belongs_to_the_folders_owner(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    os.chown(tmp_path / "log", 65534, 65533)
    sink = _file_sink(tmp_path / "log")
    _write(sink, "one")
    sink.close()
    state = (tmp_path / f"log/relay_{DAY}.log").stat()
    assert (state.st_uid, state.st_gid) == (65534, 65533)


def test_old_files_go_and_others_stay(tmp_path: Path) -> None:
    names = [
        "relay_2026-11-19.log",
        "relay_2026-11-20.log",
        "relay_2026-11-21.log",
        "relay_x.log",
        "other_2026-11-01.log",
    ]
    for name in names:
        (tmp_path / name).touch()
    sink = _file_sink(tmp_path, keep_days=3)
    _write(sink, "one")
    sink.close()
    assert {path.name for path in tmp_path.iterdir()} == {*names[1:], "relay_2026-11-22.log"}


def test_several_processes_share_a_file_without_mixing_lines(tmp_path: Path) -> None:
    script = (
        "import sys\nfrom pathlib import Path\nfrom mta.log_sinks import FileSink\n"
        "sink = FileSink(Path(sys.argv[1]), 'relay', keep_days=1, as_json=False)\n"
        f"for i in range(500): sink.write('info', 'x', sys.argv[2] * 3000, '{DAY}')\n"
    )
    writers = [subprocess.Popen([sys.executable, "-c", script, str(tmp_path), letter]) for letter in "abc"]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    lines = (tmp_path / f"relay_{DAY}.log").read_text().splitlines()
    assert sorted(lines) == sorted(["a" * 3000] * 500 + ["b" * 3000] * 500 + ["c" * 3000] * 500)


def test_a_file_that_was_moved_away_is_begun_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_sinks, "LOOK_AGAIN_S", 0.0)
    sink = _file_sink(tmp_path)
    _write(sink, "one")
    (tmp_path / f"relay_{DAY}.log").rename(tmp_path / "moved")
    _write(sink, "two")
    sink.close()
    assert (tmp_path / "moved").read_text() == "one\n"
    assert (tmp_path / f"relay_{DAY}.log").read_text() == "two\n"


def test_lines_lost_while_the_folder_is_gone_are_counted_and_told(tmp_path: Path) -> None:
    (tmp_path / "log").touch()  # a file where the folder should be
    sink = _file_sink(tmp_path / "log")
    _write(sink, "one")
    _write(sink, "two")
    assert sink.lost == 2
    (tmp_path / "log").unlink()
    _write(sink, "three")
    sink.close()
    told, written = (tmp_path / f"log/relay_{DAY}.log").read_text().splitlines()
    assert told.endswith("level=error action=log-lines-lost lines=2")
    assert written == "three"
    assert sink.lost == 0


def test_a_full_disk_loses_lines_and_nothing_else(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 64 * 1024):
        ballast = tmp_path / "disk/ballast"
        ballast.write_bytes(b"x" * 60_000)
        sink = _file_sink(tmp_path / "disk")
        for number in range(30):
            _write(sink, f"{number} " + "y" * 997)
        assert sink.lost > 20
        lost = sink.lost
        ballast.unlink()
        _write(sink, "room again")
        sink.close()
        lines = (tmp_path / f"disk/relay_{DAY}.log").read_text().splitlines()
    assert lines[-1] == "room again"
    assert lines[-2].endswith(f"action=log-lines-lost lines={lost}")
    whole = [line for line in lines[:-2] if len(line) >= 997 and line[-1] == "y"]
    assert len(whole) >= 30 - lost


def test_threads_may_write_while_the_day_changes(tmp_path: Path) -> None:
    sink = _file_sink(tmp_path, keep_days=100)
    days = [f"2026-10-{number:02d}" for number in range(1, 31)]

    def write_all() -> None:
        for day in days:
            for _ in range(20):
                _write(sink, "line", day)

    threads = [threading.Thread(target=write_all) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sink.close()
    assert sink.lost == 0
    assert sum(len(path.read_text().splitlines()) for path in tmp_path.iterdir()) == 4 * 20 * 30


# --- journald, syslog ---


@contextmanager
def _receiver(path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        end.bind(str(path))
        end.settimeout(60)
        yield end
    path.unlink()


def test_journald_gets_fields(tmp_path: Path) -> None:
    with _receiver(tmp_path / "j") as journal:
        sink = JournaldSink("relay", as_json=False, path=tmp_path / "j")
        sink.write("warning", "deferred", "action=deferred queue_id=Q1", DAY)
        fields = dict(line.split("=", 1) for line in journal.recv(65536).decode().splitlines())
        sink.close()
    assert fields == {
        "SYSLOG_IDENTIFIER": "stampline-relay", "PRIORITY": "4", "STAMPLINE_ACTION": "deferred",
        "MESSAGE": "action=deferred queue_id=Q1",
    }  # fmt: skip


def test_journald_gets_what_is_too_large_for_a_datagram_as_a_sealed_file(tmp_path: Path) -> None:
    with _receiver(tmp_path / "j") as journal:
        sink = JournaldSink("relay", as_json=False, path=tmp_path / "j")
        _write(sink, "z" * 2_000_000)
        data, fds, _, _ = socket.recv_fds(journal, 65536, 1)
        sink.close()
    assert data == b""
    with os.fdopen(fds[0], "rb") as file:
        file.seek(0)
        assert file.read().endswith(b"MESSAGE=" + b"z" * 2_000_000 + b"\n")
    assert sink.lost == 0


def test_syslog_gets_priority_time_and_tag(tmp_path: Path) -> None:
    with _receiver(tmp_path / "s") as daemon:
        sink = SyslogSink("relay", as_json=False, path=tmp_path / "s")
        sink.write("error", "failed", "action=failed", DAY)
        _write(sink, "z" * 20_000)
        line, long_line = daemon.recv(65536).decode(), daemon.recv(65536)
        sink.close()
    assert line.startswith("<19>")
    assert line.endswith(f" stampline-relay[{os.getpid()}]: action=failed")
    assert len(long_line) == SyslogSink.LINE_MAX


def test_a_daemon_that_is_away_costs_lines_and_is_found_again(tmp_path: Path) -> None:
    sink = SyslogSink("relay", as_json=True, path=tmp_path / "s")
    _write(sink, "one")
    with _receiver(tmp_path / "s") as daemon:
        _write(sink, "two")
        assert json.loads(daemon.recv(65536).partition(b"]: ")[2])["lines"] == 1
        assert daemon.recv(65536).endswith(b"two")
    _write(sink, "three")
    with _receiver(tmp_path / "s") as daemon:
        _write(sink, "four")
        assert b"log-lines-lost" in daemon.recv(65536)
        assert daemon.recv(65536).endswith(b"four")
    sink.close()


def test_a_daemon_that_does_not_read_is_not_waited_for(tmp_path: Path) -> None:
    with _receiver(tmp_path / "s"):
        sink = SyslogSink("relay", as_json=False, path=tmp_path / "s")
        for _ in range(5000):
            _write(sink, "x" * 1000)
        assert sink.lost > 0
        sink.close()


# --- standard error ---


def test_standard_error_is_not_waited_for_either() -> None:
    reading, writing = os.pipe()
    sink = StderrSink(as_json=False, fd=writing)
    for _ in range(100):
        _write(sink, "x" * 3000)
    assert sink.lost > 0
    os.set_blocking(reading, False)
    while os.read(reading, 1 << 20) and sink.lost:
        _write(sink, "after")
    assert sink.lost == 0
    os.close(reading)
    _write(sink, "nobody reads")
    assert sink.lost == 1
    os.close(writing)


def test_the_configuration_names_the_sinks(tmp_path: Path) -> None:
    logs = Logs(folder=tmp_path, also=("stderr", "journald", "syslog", "stderr"))
    assert [type(sink) for sink in sinks_from(logs, "relay")] == [FileSink, StderrSink, JournaldSink, SyslogSink]
    assert [type(sink) for sink in sinks_from(Logs(folder=tmp_path), "relay")] == [FileSink]


def test_old_files_of_those_that_write_no_more_are_deleted(tmp_path: Path) -> None:
    kept = ["mailbox-help_2999-01-01.log", "relay_2020-01-01.log", "mailbox-help_2020-01-01.log.gz"]
    for name in (*kept, "mailbox-help_2020-01-01.log", "mailbox-case-2_2020-01-01.log"):
        (tmp_path / name).touch()
    forget_old_logs(tmp_path, "mailbox-", keep_days=30)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(kept)
    forget_old_logs(tmp_path / "nothing-there", "mailbox-", keep_days=30)
