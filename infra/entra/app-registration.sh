#!/bin/sh
# Registers an app for Postroom in Entra ID and prints what Postroom and the other scripts need. Needs `az login` as somebody
# who may register apps; consent needs an administrator.
# Usage: app-registration.sh NAME REDIRECT-URI delegated|application|exchange [Mail.Read|Mail.ReadWrite] [--consent]
#   delegated     somebody signs in; Postroom sees what that person sees
#   application   Postroom by itself. Consent opens EVERY mailbox of the tenant to the app, so it is given with --consent only
#   exchange      Postroom by itself, for the mailboxes that Exchange names: no permission here, see ../exchange/limit.ps1
set -eu
name=${1:?the name of the app}
redirect=${2:?the redirect URI, for example https://post.contoso.example/OAuth2Callback}
kind=${3:?delegated, application or exchange}
shift 3
right=Mail.ReadWrite
consent=
for word in "$@"; do
  case $word in
  Mail.Read | Mail.ReadWrite) right=$word ;;
  --consent) consent=1 ;;
  *)
    echo "$word is none of Mail.Read, Mail.ReadWrite and --consent" >&2
    exit 2
    ;;
  esac
done
case $redirect in
https://*/OAuth2Callback | http://localhost:*/OAuth2Callback) ;;
*)
  echo "$redirect does not end with /OAuth2Callback in this upper and lower case, or is not https (plain http is for localhost only)" >&2
  exit 2
  ;;
esac
case $kind in
delegated | application | exchange) ;;
*)
  echo "$kind is none of delegated, application and exchange" >&2
  exit 2
  ;;
esac

case $name in
*[\'\`\\]*)
  echo "the name of the app has a quote in it; choose another" >&2
  exit 2
  ;;
esac
there=$(az ad app list --display-name "$name" --query "[?displayName=='$name'].appId | [0]" --output tsv)
[ -z "$there" ] || {
  echo "there is an app of that name: $there. Choose another name, or change that one in the portal" >&2
  exit 1
}

# Microsoft Graph has this id in every tenant; those of its permissions are asked for by name.
graph=00000003-0000-0000-c000-000000000000
permission() { # list of the service principal, name
  id=$(az ad sp show --id "$graph" --query "$1[?value=='$2'].id | [0]" --output tsv)
  [ -n "$id" ] || {
    echo "Microsoft Graph knows no $2 in this cloud" >&2
    exit 1
  }
  echo "$id"
}

client_id=$(az ad app create --display-name "$name" --sign-in-audience AzureADMyOrg --web-redirect-uris "$redirect" --query appId --output tsv)
# The app in this tenant: the "enterprise application". Its object id is the one Exchange wants.
object_id=$(az ad sp create --id "$client_id" --query id --output tsv)
case $kind in
delegated)
  for scope in "$right" "$right.Shared" offline_access; do
    id=$(permission oauth2PermissionScopes "$scope")
    az ad app permission add --id "$client_id" --api "$graph" --api-permissions "$id=Scope" --only-show-errors
  done
  ;;
application)
  id=$(permission appRoles "$right")
  az ad app permission add --id "$client_id" --api "$graph" --api-permissions "$id=Role" --only-show-errors
  ;;
exchange) ;;
esac
if [ -n "$consent" ] && [ "$kind" != exchange ]; then
  # Entra needs a moment to know a new app.
  sleep "${POSTROOM_WAIT:-20}"
  az ad app permission admin-consent --id "$client_id"
fi

echo "Application (client) id:           $client_id"
echo "Directory (tenant) id:             $(az account show --query tenantId --output tsv)"
echo "Object id of the enterprise app:   $object_id"
case $kind in
application)
  [ -n "$consent" ] && echo "Every mailbox of the tenant is open to this app now. Limit it: infra/exchange/limit.ps1" ||
    echo "Not consented yet. With consent every mailbox of the tenant is open to the app; to name mailboxes instead, use \`exchange\`."
  ;;
exchange) echo "Next: infra/exchange/limit.ps1 -AppId $client_id -ObjectId $object_id -Mailboxes ... -Role '$right'" ;;
delegated) [ -n "$consent" ] || echo "Whoever signs in is asked for consent, unless the tenant leaves that to administrators." ;;
esac
echo "Then a secret, certificate or federation for it: docs/client-authentication.md or README.md, step 1."
