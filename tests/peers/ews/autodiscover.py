"""Autodiscover, by SOAP ([MS-OXWSADISC]) and POX ([MS-OXDSCLI]): where a mailbox's EWS is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lxml import etree

from tests.peers.ews.errors import HttpAnswer
from tests.peers.ews.xml import SOAP, Element, NotXmlError, parse, written

if TYPE_CHECKING:
    from tests.peers.ews.service import Service

_A = "http://schemas.microsoft.com/exchange/2010/Autodiscover"
_WSA = "http://www.w3.org/2005/08/addressing"
_XSI = "http://www.w3.org/2001/XMLSchema-instance"
_POX_REQUEST = "http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006"
_POX = "http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006"
_POX_A = "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a"


class Autodiscover:
    """Redirects come from the settings: an address or a domain, to an address or a URL."""

    def __init__(self, service: Service, origin: str) -> None:
        self._service = service
        self._origin = origin

    @property
    def _ews_url(self) -> str:
        return f"{self._origin}/EWS/Exchange.asmx"

    def plain_redirect(self) -> HttpAnswer:
        """GET without signing in: step 3 of finding an endpoint ("Autodiscover for Exchange")."""
        return HttpAnswer(302, headers=[("Location", f"{self._origin}/autodiscover/autodiscover.xml")])

    def answer(self, path: str, body: bytes) -> HttpAnswer:
        try:
            root = parse(body)
        except NotXmlError:
            return HttpAnswer(400)
        if path.endswith(".svc"):
            return HttpAnswer(200, written(self._soap(root)), "text/xml; charset=utf-8")
        if path.endswith(".xml"):
            return HttpAnswer(200, written(self._pox(root)), "text/xml; charset=utf-8")
        return HttpAnswer(404)

    def _redirect(self, address: str) -> str:
        redirects = self._service.settings.redirects
        return redirects.get(address) or redirects.get(address.rpartition("@")[2]) or ""

    # --- SOAP ---

    def _soap(self, root: Element) -> Element:
        addresses = [str(node.text or "").strip().lower() for node in root.iter(f"{{{_A}}}Mailbox")]
        wanted = [str(node.text or "").strip() for node in root.iter(f"{{{_A}}}Setting")]
        envelope = etree.Element(f"{{{SOAP}}}Envelope", nsmap={"s": SOAP, "a": _WSA})
        header = etree.SubElement(envelope, f"{{{SOAP}}}Header")
        etree.SubElement(header, f"{{{_WSA}}}Action").text = f"{_A}/Autodiscover/GetUserSettingsResponse"
        version = etree.SubElement(header, f"{{{_A}}}ServerVersionInfo", nsmap={"h": _A})
        for name, value in (("MajorVersion", "15"), ("MinorVersion", "1"), ("MajorBuildNumber", "2507"),
                            ("MinorBuildNumber", "58"), ("Version", "Exchange2016")):  # fmt: skip
            etree.SubElement(version, f"{{{_A}}}{name}").text = value
        body = etree.SubElement(envelope, f"{{{SOAP}}}Body")
        message = etree.SubElement(body, f"{{{_A}}}GetUserSettingsResponseMessage", nsmap={None: _A})
        response = _texts(etree.SubElement(message, f"{{{_A}}}Response"), ErrorCode="NoError", ErrorMessage="")
        users = etree.SubElement(response, f"{{{_A}}}UserResponses")
        for address in addresses:
            self._user(etree.SubElement(users, f"{{{_A}}}UserResponse"), address, wanted)
        return envelope

    def _user(self, node: Element, address: str, wanted: list[str]) -> None:
        redirect = self._redirect(address)
        mailbox = self._service.store.addresses.get(address)
        if redirect:
            code = "RedirectUrl" if redirect.startswith("https:") else "RedirectAddress"
            _texts(node, ErrorCode=code, ErrorMessage="Redirection.", RedirectTarget=redirect)
            etree.SubElement(node, f"{{{_A}}}UserSettingErrors")
            etree.SubElement(node, f"{{{_A}}}UserSettings")
            return
        if mailbox is None:
            _texts(node, ErrorCode="InvalidUser", ErrorMessage=f"Invalid user: '{address}'")
            return
        values = {
            "UserDisplayName": mailbox.name,
            "AutoDiscoverSMTPAddress": mailbox.address,
            "ExternalEwsUrl": self._ews_url,
            "InternalEwsUrl": self._ews_url,
            "EwsSupportedSchemas": "Exchange2007, Exchange2007_SP1, Exchange2010, Exchange2010_SP1, Exchange2010_SP2, "
            "Exchange2013, Exchange2013_SP1, Exchange2016",
            "ExternalEwsVersion": "15.1.2507.58",
        }
        _texts(node, ErrorCode="NoError", ErrorMessage="No error.")
        etree.SubElement(node, f"{{{_A}}}RedirectTarget").set(f"{{{_XSI}}}nil", "true")
        etree.SubElement(node, f"{{{_A}}}UserSettingErrors")
        settings = etree.SubElement(node, f"{{{_A}}}UserSettings")
        for name in wanted:
            if name in values:
                setting = etree.SubElement(settings, f"{{{_A}}}UserSetting")
                setting.set(f"{{{_XSI}}}type", "StringSetting")
                _texts(setting, Name=name, Value=values[name])

    # --- POX ---

    def _pox(self, root: Element) -> Element:
        node = root.find(f".//{{{_POX_REQUEST}}}EMailAddress")
        address = "" if node is None else str(node.text or "").strip().lower()
        answer = etree.Element(f"{{{_POX}}}Autodiscover", nsmap={None: _POX})
        redirect = self._redirect(address)
        mailbox = self._service.store.addresses.get(address)
        if not redirect and mailbox is None:
            response = etree.SubElement(answer, f"{{{_POX}}}Response")
            error = etree.SubElement(response, f"{{{_POX}}}Error", Time="00:00:00.0000000", Id="1")
            _texts(error, ErrorCode="500", Message="The e-mail address cannot be found.", DebugData="")
            return answer
        response = etree.SubElement(answer, f"{{{_POX_A}}}Response", nsmap={None: _POX_A})
        if redirect:
            kind = "redirectUrl" if redirect.startswith("https:") else "redirectAddr"
            target = {"RedirectUrl" if kind == "redirectUrl" else "RedirectAddr": redirect}
            _texts(etree.SubElement(response, f"{{{_POX_A}}}Account"), Action=kind, **target)
            return answer
        assert mailbox is not None
        user = etree.SubElement(response, f"{{{_POX_A}}}User")
        _texts(user, DisplayName=mailbox.name, AutoDiscoverSMTPAddress=mailbox.address)
        account = _texts(etree.SubElement(response, f"{{{_POX_A}}}Account"), AccountType="email", Action="settings")
        for kind in ("EXCH", "EXPR"):
            protocol = etree.SubElement(account, f"{{{_POX_A}}}Protocol")
            _texts(protocol, Type=kind, Server="localhost", ASUrl=self._ews_url, EwsUrl=self._ews_url)
        return answer


def _texts(parent: Element, **texts: str) -> Element:
    """Children in the parent's namespace; gives the parent."""
    space = str(parent.tag).partition("}")[0] + "}"
    for name, text in texts.items():
        etree.SubElement(parent, space + name).text = text
    return parent
