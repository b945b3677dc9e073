"""Attachments of an item that stands already: small ones by POST, others by an upload session.

https://learn.microsoft.com/graph/outlook-large-attachments
"""

from __future__ import annotations

import re
from typing import Any

from mta.adapters.mailbox.graph.connection import Answer, Connection
from mta.adapters.mailbox.graph.writing import encoded, new_attachment, upload
from mta.model.mailbox_item import NewAttachment
from mta.ports.mailbox import EndpointDownError, MailboxError, OutcomeUnknownError, RefusedError

LARGEST_REQUEST = 4_000_000
"""Graph takes requests of 4 MB, whichever those are."""
_LARGEST_POSTED = 3 * 1024 * 1024
_LARGEST_UPLOADED = 150_000_000
_RANGE = 12 * 320 * 1024
"""Octets sent at once: less than 4 MB, and a multiple of 320 KiB."""
_MOST_RESUMPTIONS = 5
_TOO_SMALL = "ErrorAttachmentSizeShouldNotBeLessThanMinimumSize"


async def attach(connection: Connection, item: str, attachment: NewAttachment) -> None:
    """Put it on the item at this path. Raises OutcomeUnknownError, RefusedError and what else requests do."""
    size = len(attachment.data)
    if size > _LARGEST_UPLOADED:
        raise RefusedError("too-large", "Microsoft Graph takes attachments of 150 MB at most")
    body = encoded(new_attachment(attachment)) if size < _LARGEST_POSTED else b""
    if body and len(body) <= LARGEST_REQUEST:
        await connection.post(f"{item}/attachments", body)
        return
    try:
        session = await connection.post(f"{item}/attachments/createUploadSession", encoded(upload(attachment)))
    except MailboxError as exc:
        # Where a POST may end and a session begin is "3 MB"; between 10^6 and 2^20 of them the server decides.
        if exc.code != _TOO_SMALL or not body:
            raise
        await connection.post(f"{item}/attachments", body)
        return
    await _upload(connection, _address(session), attachment.data)


async def _upload(connection: Connection, url: str, data: bytes) -> None:
    """Send the ranges in their order; after an interruption the server says where to go on."""
    start, resumptions = 0, 0
    for _ in range(2 * (len(data) // _RANGE + 1) + _MOST_RESUMPTIONS):
        end = min(start + _RANGE, len(data))
        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Range": f"bytes {start}-{end - 1}/{len(data)}",
        }
        try:
            answer = await connection.at_upload_address("PUT", url, headers, data[start:end])
        except (OutcomeUnknownError, EndpointDownError):
            resumptions += 1
            if resumptions > _MOST_RESUMPTIONS:
                raise
            answer = await connection.at_upload_address("GET", url, {})
            expected = _expected(answer)
            if expected is None:
                raise
        else:
            if answer.status == 201:
                return
            expected = _expected(answer)
            if expected is None or expected <= start:
                raise EndpointDownError("bad-answer", f"{connection.host} doesn't go on with an upload")
        if expected >= len(data):
            raise EndpointDownError("bad-answer", f"{connection.host} doesn't end an upload")
        start = expected
    raise EndpointDownError("bad-answer", f"{connection.host} takes an upload in crumbs")


def _address(session: Answer) -> str:
    url = session.data.get("uploadUrl")
    if not isinstance(url, str) or not url.isascii() or not url.isprintable():
        raise EndpointDownError("bad-answer", "an upload session without an address")
    return url


def _expected(answer: Answer) -> int | None:
    """Where the next range begins, `nextExpectedRanges: ["2097152-"]`; names come in either case."""
    ranges: Any = answer.data.get("nextExpectedRanges", answer.data.get("NextExpectedRanges"))
    first = ranges[0] if isinstance(ranges, list) and ranges else None
    match = re.match(r"\d{1,12}", first) if isinstance(first, str) else None
    return int(match[0]) if match else None
