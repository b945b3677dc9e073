"""Header fields in which mail programs look for importance, sensitivity and classification.

Several programs read several fields of the same meaning, so all of them are set, or removed, together.
"""

from __future__ import annotations

_IMPORTANCE_FIELDS = ("Importance", "X-Priority", "X-MSMail-Priority", "Priority")


def _importance(*values: str) -> dict[str, str]:
    return dict(zip(_IMPORTANCE_FIELDS, values, strict=True))


IMPORTANCE = {
    "high": _importance("high", "1", "High", "urgent"),
    "normal": _importance("", "", "", ""),
    "low": _importance("low", "5", "Low", "non-urgent"),
}
"""Importance and Priority are RFC 2156 §5.3.4 and §5.3.6; a message without any of them is a normal one."""

SENSITIVITY = {
    "normal": {"Sensitivity": ""},
    "personal": {"Sensitivity": "Personal"},
    "private": {"Sensitivity": "Private"},
    "confidential": {"Sensitivity": "Company-Confidential"},
}
"""RFC 2156 §5.3.4, registered by RFC 4021."""


def classification_fields(name: str, description: str, guid: str, *, keep: bool) -> dict[str, str]:
    """What Outlook and Exchange read as a message classification ([MS-OXCMAIL], Classification Properties).

    An Exchange transport rule knows it by its GUID; what an earlier classification said is removed.
    """
    return {
        "X-Microsoft-Classified": "true",
        "X-Microsoft-Classification": name,
        "X-Microsoft-ClassDesc": description,
        "X-Microsoft-ClassID": guid,
        "X-Microsoft-ClassKeep": "true" if keep else "",
    }
