"""Names of the attributes that Active Directory and Exchange have for people."""

from __future__ import annotations

_NAMES = """
    c cn co comment company department description displayName division employeeID employeeNumber employeeType
    facsimileTelephoneNumber givenName homePhone info initials ipPhone l mail mailNickname middleName mobile name
    otherTelephone pager personalTitle physicalDeliveryOfficeName postalCode postOfficeBox preferredLanguage
    sAMAccountName sn st streetAddress targetAddress telephoneNumber title url userPrincipalName wWWHomePage
"""
WELL_KNOWN_ATTRIBUTES = frozenset(_NAMES.split()) | frozenset(f"extensionAttribute{number}" for number in range(1, 16))
