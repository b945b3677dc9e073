"""Every operation that is answered, by the name of its request."""

from __future__ import annotations

from collections.abc import Callable

from tests.peers.ews import attachment_operations, directory_operations, folder_operations, item_operations
from tests.peers.ews.calls import Call
from tests.peers.ews.xml import Element

OPERATIONS: dict[str, Callable[[Call], Element]] = {
    "ConvertId": directory_operations.convert_id,
    "CopyItem": item_operations.copy_item,
    "CreateAttachment": attachment_operations.create_attachment,
    "CreateFolder": folder_operations.create_folder,
    "CreateItem": item_operations.create_item,
    "DeleteAttachment": attachment_operations.delete_attachment,
    "DeleteItem": item_operations.delete_item,
    "FindFolder": folder_operations.find_folder,
    "FindItem": item_operations.find_item,
    "GetAttachment": attachment_operations.get_attachment,
    "GetFolder": folder_operations.get_folder,
    "GetItem": item_operations.get_item,
    "GetServerTimeZones": directory_operations.get_server_time_zones,
    "MoveItem": item_operations.move_item,
    "ResolveNames": directory_operations.resolve_names,
    "SendItem": item_operations.send_item,
    "UpdateItem": item_operations.update_item,
}
