<#
.SYNOPSIS
The older way: an application access policy keeps an app that has Mail.Read or Mail.ReadWrite in Entra ID out of all mailboxes
but those of a group. Prefer limit.ps1, which replaces it.

.DESCRIPTION
Needs the module ExchangeOnlineManagement, and Connect-ExchangeOnline. It narrows what Entra ID granted, and does not touch what
limit.ps1 gave. Changes can take more than an hour, although Test-ApplicationAccessPolicy says "Granted" or "Denied" at once.

.PARAMETER AppId
Application (client) id.
.PARAMETER Group
Address of a mail-enabled security group with the mailboxes. It must be there.
.PARAMETER Inside
A mailbox of the group, to prove it.
.PARAMETER Outside
A mailbox that is not in the group, to prove it.
#>
[CmdletBinding(SupportsShouldProcess, ConfirmImpact = 'High')]
param(
    [Parameter(Mandatory)] [guid] $AppId,
    [Parameter(Mandatory)] [string] $Group,
    [Parameter(Mandatory)] [string] $Inside,
    [Parameter(Mandatory)] [string] $Outside
)
$ErrorActionPreference = 'Stop'
if (-not $PSCmdlet.ShouldProcess($AppId, "keep it out of all mailboxes but those of $Group")) { return }

New-ApplicationAccessPolicy -AppId $AppId -PolicyScopeGroupId $Group -AccessRight RestrictAccess -Description 'Postroom' | Out-Null
foreach ($mailbox in $Inside, $Outside) {
    $told = (Test-ApplicationAccessPolicy -AppId $AppId -Identity $mailbox).AccessCheckResult
    $wanted = if ($mailbox -eq $Inside) { 'Granted' } else { 'Denied' }
    Write-Output ('{0}: {1}{2}' -f $mailbox, $told, $(if ("$told" -eq $wanted) { '' } else { '  <- NOT AS IT SHOULD BE' }))
}
