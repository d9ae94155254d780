#!/bin/sh
# Adds a client secret beside those there are, and hands it to Postroom without showing it. Needs `az login` and jq.
# Usage: client-secret.sh CLIENT-ID CREDENTIAL [MONTHS]
set -eu
client_id=${1:?the Application (client) id}
credential=${2:?the id of the credential in Postroom}
months=${3:-6}
expires=$(date -u -d "+${months} months" +%Y-%m-%d)
az ad app credential reset --id "$client_id" --append --display-name "postroom $(date -u +%Y-%m-%d)" \
  --end-date "$expires" --query password --output tsv |
  postroom credential roll "$credential" --client-secret-stdin --secret-expires "$expires"
postroom credential authorize "$credential"
