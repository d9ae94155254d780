#!/bin/sh
# Lets the tokens of another issuer stand for the app: no secret at all. Every letter of the three values counts.
# Kubernetes: issuer from `kubectl get --raw /.well-known/openid-configuration`, subject system:serviceaccount:NAMESPACE:NAME.
# GitHub: issuer https://token.actions.githubusercontent.com, subject repo:OWNER/REPOSITORY:ref:refs/heads/BRANCH.
# AWS (`aws iam enable-outbound-web-identity-federation` tells the issuer): subject is the stack's output FederatedSubject.
# Usage: federated.sh CLIENT-ID ISSUER SUBJECT [AUDIENCE]
set -eu
client_id=${1:?the Application (client) id}
issuer=${2:?the iss of the token}
subject=${3:?the sub of the token}
audience=${4:-api://AzureADTokenExchange}
parameters=$(mktemp)
trap 'rm -f "$parameters"' EXIT
jq -n --arg issuer "$issuer" --arg subject "$subject" --arg audience "$audience" \
  '{name: "postroom", issuer: $issuer, subject: $subject, audiences: [$audience]}' >"$parameters"
az ad app federated-credential create --id "$client_id" --parameters "@$parameters"
echo "Entra needs some minutes to know it. Then: postroom credential edit CREDENTIAL --federated-token-file /path/of/the/token (on AWS: the form, a token that AWS makes)"
