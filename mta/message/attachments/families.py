"""Types in a few words: what a media type is otherwise called, which family it is of, and which of them run."""

from __future__ import annotations

from mta.message.attachments import compound_file as ole
from mta.message.attachments import signatures as sig
from mta.message.attachments import texts
from mta.message.attachments import zip_archive as zipped

_ALIASES = {
    "application/x-dosexec": sig.PE, "application/x-msdownload": sig.PE, "application/x-msdos-program": sig.PE,
    "application/x-sharedlib": sig.ELF, "application/x-pie-executable": sig.ELF, "application/x-object": sig.ELF,
    "application/x-rar": sig.RAR, "application/x-rar-compressed": sig.RAR, "application/x-zip-compressed": sig.ZIP,
    "application/x-zip": sig.ZIP, "application/x-gzip": "application/gzip", "application/x-pdf": sig.PDF,
    "application/x-iso9660-appimage": sig.ELF, "application/x-java-applet": sig.JAVA_CLASS,
    "application/cdfv2": sig.OLE, "application/x-cfb": sig.OLE, "text/rtf": "application/rtf",
    "text/xml": "application/xml", "image/jpg": "image/jpeg", "image/pjpeg": "image/jpeg", "image/x-png": "image/png",
    "image/x-ms-bmp": "image/bmp", "image/x-icon": "image/vnd.microsoft.icon", "audio/x-wav": "audio/vnd.wave",
    "audio/wav": "audio/vnd.wave", "video/x-msvideo": "video/vnd.avi", "application/ms-tnef": "application/vnd.ms-tnef",
    "application/x-cab": "application/vnd.ms-cab-compressed", "application/ogg": "audio/ogg",
    "application/vnd.debian.binary-package": "application/x-debian-package", "application/x-ms-installer": ole.MSI,
    "application/x-shellscript": texts.SHELL_SCRIPT, "text/x-vcard": "text/vcard",
}  # fmt: skip
RUNS = frozenset({
    sig.PE, sig.ELF, sig.MACH_O, sig.JAVA_CLASS, sig.SHORTCUT, ole.MSI, zipped.JAR, zipped.APK, zipped.MSIX,
    "application/x-dex", "application/vnd.ms-htmlhelp", "application/x-debian-package", "application/x-rpm",
    "application/x-xar", "application/wasm", texts.SHELL_SCRIPT, texts.HTML_APPLICATION, texts.INTERNET_SHORTCUT,
    "application/x-bat", "text/x-ms-regedit", sig.ISO, "application/x-vhd", "application/x-vhdx",
})  # fmt: skip
"""Content that a system runs, or mounts as a disk whose programs it then runs."""
_ARCHIVES = frozenset({
    sig.ZIP, sig.RAR, sig.SEVEN_ZIP, "application/gzip", "application/x-bzip2", "application/x-xz", "application/zstd",
    "application/x-tar", "application/vnd.ms-cab-compressed", "application/x-arj", "application/x-lzip",
    "application/x-ace-compressed", "application/x-lzh-compressed",
})  # fmt: skip
_OFFICE = frozenset({"word", "sheet", "slides"})
_FAMILIES: dict[str, frozenset[str]] = {
    sig.PDF: frozenset({"pdf"}),
    **dict.fromkeys((*_ARCHIVES,), frozenset({"archive"})),
    **dict.fromkeys((*RUNS,), frozenset({"program"})),
    **dict.fromkeys((ole.WORD, zipped.WORD, zipped.WORD_MACRO, "application/rtf"), frozenset({"word"})),
    **dict.fromkeys((ole.SHEET, zipped.SHEET, zipped.SHEET_MACRO, zipped.SHEET_BINARY), frozenset({"sheet"})),
    **dict.fromkeys((ole.SLIDES, zipped.SLIDES, zipped.SLIDES_MACRO), frozenset({"slides"})),
    "application/vnd.oasis.opendocument.text": frozenset({"word"}),
    "application/vnd.oasis.opendocument.spreadsheet": frozenset({"sheet"}),
    "application/vnd.oasis.opendocument.presentation": frozenset({"slides"}),
    ole.ENCRYPTED: _OFFICE,
    zipped.OFFICE: _OFFICE,
    sig.OLE: _OFFICE | {"message", "program"},
    ole.MSG: frozenset({"message"}),
    texts.MESSAGE: frozenset({"message", "text"}),
    "image/svg+xml": frozenset({"image", "text"}),
    **dict.fromkeys(("application/xml", "application/json", texts.PGP_MESSAGE), frozenset({"text"})),
    texts.SHELL_SCRIPT: frozenset({"program", "text"}),
}
_BY_MAIN_TYPE = {name: frozenset({name}) for name in ("image", "audio", "video", "text", "message", "font")}
_UNKNOWN: frozenset[str] = frozenset()


def canonical(media_type: str) -> str:
    """The one name by which we know a type that has several."""
    lower = media_type.strip().lower()
    return _ALIASES.get(lower, lower)


def families(media_type: str) -> frozenset[str]:
    """The families that content of the type may be called; empty for types without one."""
    known = _FAMILIES.get(media_type)
    return known if known is not None else _BY_MAIN_TYPE.get(media_type.partition("/")[0], _UNKNOWN)
