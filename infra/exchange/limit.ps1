<#
.SYNOPSIS
Gives an app the right to mail in the named mailboxes and in no other: RBAC for Applications in Exchange Online.

.DESCRIPTION
Needs the module ExchangeOnlineManagement, and Connect-ExchangeOnline as a member of Organization Management.

The right is given here INSTEAD OF in Entra ID. Grants add up: an app that also has Mail.Read or Mail.ReadWrite of type
Application in Entra reads every mailbox, whatever is said here. The script cannot see that; it says how to look.

A change works after 30 minutes to 2 hours. Test-ServicePrincipalAuthorization, at the end, shows it at once; Graph does not.

.PARAMETER AppId
Application (client) id.
.PARAMETER ObjectId
Object id of the ENTERPRISE APPLICATION (not of the app registration).
.PARAMETER Mailboxes
Addresses the app may read. Those that are in the group already and are not named stay in it.
.PARAMETER Role
Mail.ReadWrite, or Mail.Read if nothing is to be marked, moved or deleted.
.PARAMETER Group
Address of a mail-enabled security group that holds the mailboxes. It is made if it is not there. Members of groups inside
it do not count.
.PARAMETER Outside
A mailbox the app must not reach, to prove it.
.EXAMPLE
./limit.ps1 -AppId 11111111-... -ObjectId 22222222-... -Mailboxes orders@contoso.example -Group postroom@contoso.example -Outside ceo@contoso.example
#>
[CmdletBinding(SupportsShouldProcess, ConfirmImpact = 'High')]
param(
    [Parameter(Mandatory)] [guid] $AppId,
    [Parameter(Mandatory)] [guid] $ObjectId,
    [Parameter(Mandatory)] [string[]] $Mailboxes,
    [Parameter(Mandatory)] [string] $Group,
    [ValidateSet('Mail.Read', 'Mail.ReadWrite')] [string] $Role = 'Mail.ReadWrite',
    [string] $Outside
)
$ErrorActionPreference = 'Stop'
$name = "Postroom $AppId"

if (-not $PSCmdlet.ShouldProcess($Group, "give $AppId the right $Role in $($Mailboxes -join ', ')")) { return }

$found = Get-DistributionGroup -Identity $Group -ErrorAction SilentlyContinue
if (-not $found) {
    $found = New-DistributionGroup -Name ($Group.Split('@')[0]) -PrimarySmtpAddress $Group -Type Security
}
$members = @(Get-DistributionGroupMember -Identity $found.Identity -ResultSize Unlimited | ForEach-Object { $_.PrimarySmtpAddress })
foreach ($mailbox in $Mailboxes) {
    if ($members -notcontains $mailbox) {
        Add-DistributionGroupMember -Identity $found.Identity -Member $mailbox
    }
}
$nested = @(Get-DistributionGroupMember -Identity $found.Identity -ResultSize Unlimited | Where-Object { $_.RecipientType -like '*Group*' })
if ($nested) {
    Write-Warning "Groups inside the group do not count: $($nested.DisplayName -join ', ')"
}

# Exchange does not check the two ids: a wrong one gives rights to nobody.
if (-not (Get-ServicePrincipal | Where-Object { $_.AppId -eq "$AppId" })) {
    New-ServicePrincipal -AppId $AppId -ObjectId $ObjectId -DisplayName $name | Out-Null
}
$filter = "MemberOfGroup -eq '$($found.DistinguishedName)'"
if (Get-ManagementScope -Identity $name -ErrorAction SilentlyContinue) {
    Set-ManagementScope -Identity $name -RecipientRestrictionFilter $filter
}
else {
    New-ManagementScope -Name $name -RecipientRestrictionFilter $filter | Out-Null
}
if (-not (Get-ManagementRoleAssignment -Identity "$name $Role" -ErrorAction SilentlyContinue)) {
    New-ManagementRoleAssignment -Name "$name $Role" -App "$ObjectId" -Role "Application $Role" -CustomResourceScope $name | Out-Null
}

foreach ($mailbox in @($Mailboxes) + @($Outside | Where-Object { $_ })) {
    $inside = [bool](Test-ServicePrincipalAuthorization -Identity "$ObjectId" -Resource $mailbox |
            Where-Object { $_.RoleName -eq "Application $Role" -and "$($_.InScope)" -eq 'True' })
    $wanted = $mailbox -ne $Outside
    Write-Output ('{0}: {1}{2}' -f $mailbox, $(if ($inside) { 'open' } else { 'closed' }), $(if ($inside -eq $wanted) { '' } else { '  <- NOT AS IT SHOULD BE' }))
}
Write-Warning @"
If the app has Mail.Read or Mail.ReadWrite of type Application in Entra ID, it reads every mailbox all the same. Look:
  az ad app permission list --id $AppId
and remove what is there under API permissions, with its consent. Then wait up to two hours, and try 'postroom account check' with a mailbox
outside: it must be refused.
"@
