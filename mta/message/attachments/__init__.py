"""Files that come with a message: what they are by their content, whatever their names and types claim.

`attachment` reads one lazily; `signatures`, `texts` and `libmagic` tell types, `zip_archive`, `compound_file`, `rar`
and `seven_zip` what containers hold and whether they are encrypted, `extensions` what names say. Everything is bounded:
nothing is unpacked, and of the many things that a file can claim only the first few are looked at.
"""

from mta.message.attachments.attachment import Attachment, attachments, octets_of
from mta.message.attachments.wanted import Wanted

__all__ = ["Attachment", "Wanted", "attachments", "octets_of"]
