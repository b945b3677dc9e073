"""Organisations with mailbox servers."""

from __future__ import annotations

from typing import Any

from mta.config.mailbox_schema import MailboxServer
from mta.config.schema import Organisation
from mta.config.sentitems_schema import SentItemsSettings
from mta.config.tracking_schema import TrackingSettings


def organisation_with(server: MailboxServer) -> Organisation:
    """That puts copies into everybody's Sent Items."""
    return _organisation(sent_items=SentItemsSettings(servers=(server,)))


def organisation_that_marks(server: MailboxServer, *audience: str) -> Organisation:
    """That only marks filed messages, in the mailboxes of these."""
    write_back = {"servers": [server], "audience": {"addresses": audience}}
    tracking = {"keys": [{"env": "KEY"}], "modules": [{"name": "ticket"}], "rules": "rules", "write_back": write_back}
    return _organisation(tracking=TrackingSettings.model_validate(tracking))


def _organisation(**settings: Any) -> Organisation:
    return Organisation.model_validate({
        "accepted_domains": ["example.com"], "rules": "rules", "templates": "templates",
        "directory": {"file": "people.yaml"}, "mark": {"keys": [{"file": "mark.key"}]}, **settings,
    })  # fmt: skip
