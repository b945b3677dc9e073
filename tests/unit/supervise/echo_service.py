"""A supervisor over echo workers, as a process of its own: `python -m tests.unit.supervise.echo_service CONFIG`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from mta import events
from mta.config.schema import Configuration
from mta.control.server import AlreadyRunningError
from mta.log_sinks import sinks_from
from mta.supervise import slot
from mta.supervise.sockets import PortTakenError
from mta.supervise.supervisor import StartError, Supervisor, Validated
from tests.unit.supervise.echo_worker import read_config


def validate(path: Path) -> Validated:
    config = read_config(path)
    folder = path.parent
    configuration = Configuration.model_validate(
        {
            "hostname": "relay.example.com",
            "listeners": [{"name": "in", "port": config["port"], "role": "inbound"}],
            "organisation": {
                "accepted_domains": ["example.com"], "rules": folder, "templates": folder,
                "directory": {"file": folder / "people.yaml"}, "mark": {"keys": [{"env": "MARK"}]},
            },
            "next_hops": [{"name": "out", "kind": "smtp", "hosts": [{"host": "127.0.0.1"}]}],
            "routing": {"default": "out"},
            "spool": {"folder": folder / "spool"},
            "logs": {"folder": folder / "log", "format": "json"},
            "control": {"socket": config["socket"]},
            "workers": config.get("workers", 2),
            "drain": config.get("drain", "10s"),
        }
    )  # fmt: skip
    return Validated(str(config["name"]), configuration, rules=1, templates=2)


def main(path: Path) -> int:
    current = validate(path)
    events.configure(sinks_from(current.configuration.logs, "supervisor"), as_json=True)
    config = read_config(path)
    slot.SILENT_MAX_S = float(str(config.get("silent_max_s", 30)))
    command = [sys.executable, "-m", "tests.unit.supervise.echo_worker"]
    supervisor = Supervisor(path, current, validate, worker_command=command)
    try:
        asyncio.run(supervisor.run())
    except (AlreadyRunningError, PortTakenError, StartError) as exc:
        print(exc, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
