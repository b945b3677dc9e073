"""What file names say: which extensions run something, and which kinds of content an extension promises."""

from __future__ import annotations

# Outlook's blocked list and Exchange's common attachment types filter, disk images that Windows mounts by a click,
# scripts and packages of other systems, and Office files that may hold macros.
EXECUTABLE = frozenset({
    "ade", "adp", "apk", "app", "appcontent-ms", "application", "appref-ms", "appx", "appxbundle", "arj", "asp",
    "aspx", "bas", "bat", "bgi", "cab", "chm", "cla", "class", "cmd", "cnt", "com", "command", "cpl", "csh", "deb",
    "desktop", "dex", "diagcab", "dll", "dmg", "drv", "elf", "exe", "fxp", "gadget", "hlp", "hpj", "hta", "htc",
    "img", "inf", "ins", "iqy", "iso", "isp", "jar", "jnlp", "js", "jse", "jsp", "kext", "ksh", "library-ms", "lnk",
    "maf", "mag", "mam", "maq", "mar", "mas", "mau", "mav", "maw", "mcf", "mda", "mde", "mdt", "mdw", "mdz", "mht",
    "mhtml", "mjs", "mpkg", "msc", "msh", "msh1", "msh1xml", "msh2", "msh2xml", "mshxml", "msi", "msix", "msixbundle",
    "msp", "mst", "msu", "ocx", "one", "onepkg", "ops", "osd", "pcd", "pif", "pkg", "pl", "plg", "prg",
    "printerexport", "ps1", "ps1xml", "ps2", "ps2xml", "psc1", "psc2", "psd1", "psdm1", "psm1", "pssc", "py", "pyc",
    "pyo", "pyw", "pyz", "pyzw", "rdp", "reg", "rgs", "rpm", "run", "scf", "scpt", "scr", "sct", "search-ms",
    "searchconnector-ms", "settingcontent-ms", "sh", "shb", "shs", "slk", "sys", "themepack", "udf", "uif", "url",
    "vb", "vbe", "vbp", "vbs", "vhd", "vhdx", "vsmacros", "vsw", "vxd", "wasm", "webpnp", "website", "wsb", "wsc",
    "wsf", "wsh", "xap", "xbap", "xll", "xnk",
    "docm", "dotm", "xlsm", "xltm", "xlam", "xlsb", "xla", "pptm", "potm", "ppam", "ppsm", "sldm", "ppa", "wbk",
    "xlm", "wiz", "wll",
})  # fmt: skip

_WORD, _SHEET, _SLIDES = frozenset({"word"}), frozenset({"sheet"}), frozenset({"slides"})
_TEXT, _IMAGE, _ARCHIVE = frozenset({"text", "message"}), frozenset({"image"}), frozenset({"archive"})
_MEDIA, _PROGRAM = frozenset({"audio", "video"}), frozenset({"program"})

PROMISED: dict[str, frozenset[str]] = {
    "pdf": frozenset({"pdf"}),
    **dict.fromkeys(("doc", "docx", "docm", "dot", "dotx", "dotm", "odt", "ott"), _WORD),
    "rtf": _WORD,
    **dict.fromkeys(("xlsx", "xlsm", "xlsb", "xltx", "xltm", "ods", "ots"), _SHEET),
    # Programs export tables as text or HTML under Excel's extension.
    **dict.fromkeys(("xls", "xlt"), _SHEET | {"text"}),
    **dict.fromkeys(("ppt", "pptx", "pptm", "pps", "ppsx", "potx", "odp", "otp"), _SLIDES),
    **dict.fromkeys(("png", "jpg", "jpeg", "jpe", "gif", "bmp", "tif", "tiff", "webp", "heic", "avif", "ico"), _IMAGE),
    "svg": _IMAGE | {"text"},
    **dict.fromkeys(("zip", "7z", "rar", "gz", "tgz", "bz2", "xz", "zst", "tar", "cab", "arj", "lzh", "ace"), _ARCHIVE),
    **dict.fromkeys(("txt", "log", "csv", "tsv", "md", "json", "xml", "yaml", "yml", "ini", "ics", "vcf"), _TEXT),
    **dict.fromkeys(("html", "htm", "xhtml", "shtml", "eml"), _TEXT),
    **dict.fromkeys(
        ("mp3", "wav", "ogg", "flac", "m4a", "aac", "wma", "mp4", "m4v", "mov", "avi", "mkv", "wmv"), _MEDIA
    ),
    **dict.fromkeys(("exe", "dll", "scr", "sys", "msi", "lnk", "jar", "apk"), _PROGRAM),
    "msg": frozenset({"message"}),
}
"""Extension → families of content that it promises."""


def extension(name: str) -> str:
    """What stands behind the last dot, in lower case; "" without one."""
    stem, dot, last = name.rpartition(".")
    return last.strip().lower() if dot and (stem or last) else ""


def is_executable(name: str) -> bool:
    """Whether opening a file of that name may run something."""
    return extension(name.rstrip(". ")) in EXECUTABLE
