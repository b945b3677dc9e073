"""What the errors of a file system mean for a mailbox."""

from __future__ import annotations

import errno
import os

from mta.ports.mailbox import (
    AccessDeniedError,
    ConflictError,
    EndpointOverloadedError,
    MailboxError,
    MailboxUnavailableError,
    QuotaError,
)

_MEANINGS: dict[int, type[MailboxError]] = {
    errno.ENOTDIR: AccessDeniedError,  # O_DIRECTORY and O_NOFOLLOW together: a symbolic link, or a file
    errno.ELOOP: AccessDeniedError,
    errno.EACCES: AccessDeniedError,
    errno.EPERM: AccessDeniedError,
    errno.EAGAIN: ConflictError,  # `Folder.look`
    errno.ENOSPC: QuotaError,
    errno.EDQUOT: QuotaError,
    errno.EFBIG: QuotaError,
    errno.EMFILE: EndpointOverloadedError,
    errno.ENFILE: EndpointOverloadedError,
    errno.ENOMEM: EndpointOverloadedError,
}


def failure(error: OSError) -> MailboxError:
    """Unknown ones, as EIO and ESTALE, may pass."""
    meaning = _MEANINGS.get(error.errno or 0, MailboxUnavailableError)
    name = errno.errorcode.get(error.errno or 0, type(error).__name__)
    if meaning is AccessDeniedError and error.errno in (errno.ENOTDIR, errno.ELOOP):
        return meaning(name, "a folder of the mailbox is none, or a symbolic link, which is never followed")
    return meaning(name, os.strerror(error.errno) if error.errno else "")
