"""The PowerShell that gives Stampline its rights at Exchange, and nothing beyond the configured senders.

Documents (learn.microsoft.com): exchange/client-developer/exchange-web-services/impersonation-and-ews-in-exchange,
exchange/permissions-exo/application-rbac; powershell/module/exchange: New-ManagementScope, New-ServicePrincipal,
New-ManagementRoleAssignment, Test-ServicePrincipalAuthorization, Set-OrganizationConfig (EwsAllowedAppIDs).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mta.cli.powershell import address_filter, comment, listed, quoted
from mta.config.mailbox_schema import Cloud, EwsMailboxes, GraphMailboxes
from mta.config.sentitems_schema import Scope, Senders
from mta.config.tracking_schema import EwsMailbox, GraphMailbox

_EWS_DEFAULT = 27
"""EWSMaxConcurrency of Exchange's default throttling policy."""
_EXCHANGE_ENVIRONMENT: dict[Cloud, str] = {
    "global": "O365Default",
    "us-government": "O365USGovGCCHigh",
    "us-government-dod": "O365USGovDoD",
    "china": "O365China",
}
_GRAPH_ENVIRONMENT: dict[Cloud, str] = {
    "global": "Global",
    "us-government": "USGov",
    "us-government-dod": "USGovDoD",
    "china": "China",
}
_SENDERS = "(RecipientTypeDetails -eq 'UserMailbox' -or RecipientTypeDetails -eq 'LinkedMailbox' -or "
_SENDERS += "RecipientTypeDetails -eq 'SharedMailbox')"
"""Mailboxes that people send from; not rooms, nor Exchange's own."""

_FILTER = """\
# --- whose mailboxes ---
# Exchange's filters see direct members of a group only, so the groups inside it are named one by one: run this again
# when groups come into groups. (Members that come and go count at once.)
function Get-GroupsInside([string]$name) {
    $top = @(Get-Group -Identity $name)
    if ($top.Count -ne 1) { throw "there are $($top.Count) groups called $name" }
    $seen = @{}
    $open = @($top[0].DistinguishedName)
    while ($open.Count -gt 0) {
        $dn = [string]$open[0]
        $open = @($open | Select-Object -Skip 1)
        if ($dn -match '[\\u2018-\\u201f"`$]') { throw "rename the group $dn : a filter can't hold its name" }
        if ($seen.ContainsKey($dn)) { continue }
        $clause = "MemberOfGroup -eq '" + $dn.Replace("'", "''") + "'"
        $seen[$dn] = $clause
        $open += @(Get-Group -Filter $clause -ResultSize Unlimited | ForEach-Object { $_.DistinguishedName })
    }
    return $seen.Values
}
"""
_SCOPE = """
if (Get-ManagementScope | Where-Object { $_.Name -eq $name }) {
    Set-ManagementScope -Identity $name -RecipientRestrictionFilter $filter -WhatIf:$WhatIf
} else {
    New-ManagementScope -Name $name -RecipientRestrictionFilter $filter -WhatIf:$WhatIf
}
"""
_IMPERSONATION = """
# --- the right to act for them ---
$held = @(Get-ManagementRoleAssignment -Role ApplicationImpersonation -RoleAssignee $account)
foreach ($other in $held | Where-Object { $_.Name -ne $name }) {
    Write-Warning "$account also holds ApplicationImpersonation by '$($other.Name)': if that is wider, remove it"
}
if ($held | Where-Object { $_.Name -eq $name }) {
    Set-ManagementRoleAssignment -Identity $name -CustomRecipientWriteScope $name -WhatIf:$WhatIf
} elseif ($WhatIf) {
    Write-Host "What if: $account would get ApplicationImpersonation within the scope '$name'."
} else {
    New-ManagementRoleAssignment -Name $name -Role ApplicationImpersonation -User $account `
        -CustomRecipientWriteScope $name
}
"""
_FULL_ACCESS = """
# --- full access, mailbox by mailbox: run this again for mailboxes that come later ---
foreach ($mailbox in Get-Mailbox -Filter $filter -ResultSize Unlimited) {
    $held = @(Get-MailboxPermission -Identity $mailbox.DistinguishedName -User $account |
        Where-Object { $_.AccessRights -contains 'FullAccess' -and -not $_.Deny })
    if ($held.Count -eq 0) {
        Add-MailboxPermission -Identity $mailbox.DistinguishedName -User $account -AccessRights FullAccess `
            -AutoMapping $false -WhatIf:$WhatIf
    }
}
"""
_SHOW_ON_PREMISES = """
# --- have a look ---
Get-Recipient -Filter $filter -ResultSize 20 | Format-Table Name, PrimarySmtpAddress, RecipientTypeDetails
"""
_APPLICATION = """
# --- the application in Exchange ---
$principals = @(Get-MgServicePrincipal -Filter ("appId eq '" + $appId.Replace("'", "''") + "'"))
if ($principals.Count -ne 1) { throw "the tenant has no enterprise application $appId : create it first" }
$objectId = $principals[0].Id
if (-not (Get-ServicePrincipal | Where-Object { $_.AppId -eq $appId })) {
    New-ServicePrincipal -AppId $appId -ObjectId $objectId -DisplayName $name -WhatIf:$WhatIf
}
# Rights that were consented to in Entra hold for every mailbox, whatever the scope here says.
$wide = @('e2a3a72e-5f79-4c64-b1b1-878b674786c9', '810c84a8-4a9e-49e6-bf7d-12d183f40d01',
    'dc890d15-9560-4a4c-9b7f-a736ec74ec40')  # Mail.ReadWrite, Mail.Read, full_access_as_app
if ($roles -contains 'Application Mail.Send') { $wide += 'b633e1c5-b582-4048-a93e-9f11b44c7e96' }  # Mail.Send
foreach ($consent in Get-MgServicePrincipalAppRoleAssignment -ServicePrincipalId $objectId -All) {
    if ($wide -contains [string]$consent.AppRoleId) {
        Write-Warning "Entra gives $appId a right to every mailbox ($($consent.AppRoleId)): remove that consent"
    }
}
"""
_ASSIGNMENT = """
# --- the right to their mail, and to no more ---
foreach ($role in $roles) {
    $assignment = $name
    if ($role -eq 'Application Mail.Send') { $assignment = $name + ' send' }
    $held = @(Get-ManagementRoleAssignment -Role $role | Where-Object { $_.Name -eq $assignment })
    foreach ($other in $held | Where-Object { $_.RoleAssigneeName -ne $objectId }) {
        Write-Warning "'$assignment' is $($other.RoleAssigneeName)'s: if that is another application, remove it first"
    }
    if ($held.Count -gt 0) {
        Set-ManagementRoleAssignment -Identity $assignment -CustomResourceScope $name -WhatIf:$WhatIf
    } elseif ($WhatIf) {
        Write-Host "What if: $appId would get '$role' within the scope '$name'."
    } else {
        New-ManagementRoleAssignment -Name $assignment -App $objectId -Role $role -CustomResourceScope $name
    }
}

# --- have a look (a change can take up to two hours to reach every server) ---
Get-Recipient -Filter $filter -ResultSize 20 | Format-Table Name, PrimarySmtpAddress, RecipientTypeDetails
if (-not $WhatIf) { Test-ServicePrincipalAuthorization -Identity $objectId | Format-Table }
"""
_EWS_ONLINE = """
# --- EWS in Exchange Online: shut since 1 October 2026 but for listed applications, gone on 1 April 2027 ---
# Not done here, for it concerns every application of the tenant. Look what is set, and add this one to what is listed:
#   Get-OrganizationConfig | Format-List EwsEnabled, EwsAllowedAppIDs
#   Set-OrganizationConfig -EwsEnabled $true -EwsAllowedAppIDs ...
# Microsoft Graph (kind: graph) needs none of this, and stays.
"""


@dataclass(frozen=True, slots=True)
class Grant:
    """What is granted: the rights to some mailboxes that one server, or monitored mailbox, needs."""

    server: EwsMailboxes | GraphMailboxes | EwsMailbox | GraphMailbox
    senders: Scope
    """Whose mailboxes."""
    name: str
    """Of scope and assignment; at most 64 characters."""
    what: str
    """`Sent Items at the mailbox server 'online'`"""
    then: str
    """Lines that say how to try it, each beginning with `#`."""
    account: str = ""
    """Instead of the configured `user`."""
    sends: bool = False
    """Also to send mail from them, in the cloud."""

    @property
    def is_graph(self) -> bool:
        return isinstance(self.server, GraphMailboxes | GraphMailbox)

    @property
    def is_cloud(self) -> bool:
        return not isinstance(self.server, EwsMailboxes | EwsMailbox) or self.server.sign_in == "oauth"


def script(grant: Grant) -> str:
    """A whole script, ASCII with LF. Raises UnquotableError for values that can't stand in one, ValueError for what is
    missing."""
    return "".join(_online(grant) if grant.is_cloud else _on_premises(grant))


def _on_premises(grant: Grant) -> Iterable[str]:
    server = grant.server
    assert isinstance(server, EwsMailboxes | EwsMailbox)
    account = grant.account or server.user
    if not account:
        raise ValueError("says no `user`; name the account with --account")
    yield _head(grant, "the Exchange Management Shell")
    yield f"$account = {quoted(account)}\n$name = {quoted(grant.name)}\n\n"
    yield _filter(grant)
    if server.impersonate:
        yield _SCOPE + _IMPERSONATION
        yield _throttling(server) if isinstance(server, EwsMailboxes) else ""
    else:
        yield _FULL_ACCESS
    yield _SHOW_ON_PREMISES
    yield f"\n{grant.then}\n"


def _online(grant: Grant) -> Iterable[str]:
    server = grant.server
    assert server.oauth is not None
    roles = ["Application Mail.ReadWrite" if grant.is_graph else "Application EWS.AccessAsApp"]
    roles += ["Application Mail.Send"] if grant.sends else []
    yield _head(grant, "PowerShell 7, with the modules ExchangeOnlineManagement and Microsoft.Graph.Applications")
    yield f"$appId = {quoted(server.oauth.client_id)}\n$name = {quoted(grant.name)}\n"
    yield f"$roles = {listed(tuple(roles))}\n\n"
    exchange, graph = _EXCHANGE_ENVIRONMENT[server.oauth.cloud], _GRAPH_ENVIRONMENT[server.oauth.cloud]
    yield f"Connect-ExchangeOnline -ExchangeEnvironmentName {exchange} -ShowBanner:$false\n"
    yield f"Connect-MgGraph -Environment {graph} -TenantId {quoted(server.oauth.tenant)} `\n"
    yield "    -Scopes 'Application.Read.All' -NoWelcome\n\n"
    yield _filter(grant)
    yield _APPLICATION + _SCOPE + _ASSIGNMENT
    if not grant.is_graph:
        yield _EWS_ONLINE
    yield f"\n{grant.then}\n"


def _head(grant: Grant, shell: str) -> str:
    return f"""\
# Stampline: rights for {comment(grant.what)}.
# Read it, then run it in {shell},
# as a member of Organization Management. Running it again brings rights to what the configuration says.
# With -WhatIf it only says what it would do.
param([switch]$WhatIf)
$ErrorActionPreference = 'Stop'

"""


def _filter(grant: Grant) -> str:
    """Sets $filter, so that it is true for the senders alone."""
    lines = [_FILTER]
    lines.append("$filter = " + quoted(_SENDERS) + "\n")
    for senders, negation in ((grant.senders.only, ""), (grant.senders.all_but, "-not ")):
        if senders is not None:
            lines.append(_clauses(senders, is_cloud=grant.is_cloud))
            lines.append(_combined(negation))
    return "".join(lines)


def _clauses(senders: Senders, *, is_cloud: bool) -> str:
    clauses = tuple(address_filter(pattern, is_cloud=is_cloud) for pattern in senders.addresses)
    text = f"$clauses = {listed(clauses)}\n"
    text += f"foreach ($group in {listed(senders.groups)}) {{\n    $clauses += @(Get-GroupsInside $group)\n}}\n"
    return text


def _combined(negation: str) -> str:
    if negation:
        return "if ($clauses.Count -gt 0) {\n    $filter += ' -and -not (' + ($clauses -join ' -or ') + ')'\n}\n"
    return (
        "if ($clauses.Count -eq 0) { throw 'nobody is named' }\n$filter += ' -and (' + ($clauses -join ' -or ') + ')'\n"
    )


def _throttling(server: EwsMailboxes) -> str:
    if server.connections < _EWS_DEFAULT:
        return ""
    return f"""
# --- {server.connections} connections at a time: more than Exchange's default policy allows an account ---
$policy = $name
if (-not (Get-ThrottlingPolicy | Where-Object {{ $_.Name -eq $policy }})) {{
    New-ThrottlingPolicy -Name $policy -ThrottlingPolicyScope Regular -EwsMaxConcurrency {server.connections + 3} `
        -WhatIf:$WhatIf
}}
if (-not $WhatIf) {{ Set-ThrottlingPolicyAssociation -Identity $account -ThrottlingPolicy $policy }}
"""
