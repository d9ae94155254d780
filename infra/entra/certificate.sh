#!/bin/sh
# Makes a key and a certificate, registers the certificate with the app and gives both to Postroom, whose vault keeps the
# key; the file is removed. Needs `az login` and openssl.
# Usage: certificate.sh CLIENT-ID CREDENTIAL [DAYS]
set -eu
umask 077
client_id=${1:?the Application (client) id}
credential=${2:?the id of the credential in Postroom}
days=${3:-365}
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
openssl req -x509 -newkey rsa:2048 -nodes -sha256 -days "$days" -subj "/CN=postroom $credential" \
  -keyout "$directory/key.pem" -out "$directory/certificate.pem"
az ad app credential reset --id "$client_id" --append --cert "@$directory/certificate.pem" --output none
cat "$directory/certificate.pem" "$directory/key.pem" >"$directory/both.pem"
postroom credential edit "$credential" --certificate "$directory/both.pem"
# Entra needs a moment to know a new certificate.
sleep 30
postroom credential authorize "$credential"
