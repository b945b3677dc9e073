"""Property values as JSON, for the control channel: octets and times carry their kind."""

from __future__ import annotations

import base64
from datetime import datetime
from typing import Any


def to_json(value: Any) -> Any:
    """What `json.dumps` takes."""
    if isinstance(value, bytes):
        return {"binary": base64.b64encode(value).decode()}
    if isinstance(value, datetime):
        return {"time": value.isoformat()}
    if isinstance(value, dict):
        return {"map": {key: to_json(entry) for key, entry in value.items()}}
    if isinstance(value, list | tuple):
        return [to_json(entry) for entry in value]
    return value


def from_json(value: Any) -> Any:
    """What `to_json` was given; tuples come back as lists."""
    if isinstance(value, list):
        return [from_json(entry) for entry in value]
    if not isinstance(value, dict):
        return value
    if "binary" in value:
        return base64.b64decode(value["binary"])
    if "time" in value:
        return datetime.fromisoformat(value["time"])
    return {key: from_json(entry) for key, entry in value["map"].items()}
