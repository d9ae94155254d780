#!/bin/sh
# Makes an RSA key in AWS KMS, which signs with it and gives it to nobody, and a certificate for it; registers the certificate
# with the app, and says what Postroom is to be told. With the ARN of a key that is there, a new certificate for that one: for
# renewal, or for another app (a stack may use one key). Needs `aws`, `az login` and OpenSSL 3.
# Usage: kms-key.sh CLIENT-ID CERTIFICATE-FILE [DAYS [KEY-ARN]]
set -eu
umask 077
client_id=${1:?the Application (client) id}
file=${2:?where the certificate is to be written}
days=${3:-365}
key=${4:-}
if [ -e "$file" ]; then
  echo "$file is there already; name a new file" >&2
  exit 2
fi
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
# First what can fail without leaving anything behind: whoever signs the certificate does not matter to Entra, which asks for
# the key in it. So a key does that is thrown away.
openssl req -x509 -newkey rsa:2048 -nodes -sha256 -days "$days" -subj "/CN=postroom" \
  -keyout "$directory/issuer.key" -out "$directory/issuer.pem" 2>/dev/null
if [ -z "$key" ]; then
  key=$(aws kms create-key --key-spec RSA_2048 --key-usage SIGN_VERIFY --description "Postroom proves its apps" \
    --query KeyMetadata.Arn --output text)
fi
echo "Key: $key (if what follows fails, name it when this is run again)"
aws kms get-public-key --key-id "$key" --query PublicKey --output text | openssl base64 -d -A >"$directory/public.der"
openssl pkey -pubin -inform DER -in "$directory/public.der" -out "$directory/public.pem"
# With an extension it is of version 3; without any it would be of version 1, which not everybody reads.
echo "keyUsage=critical,digitalSignature" >"$directory/extensions"
openssl x509 -new -force_pubkey "$directory/public.pem" -subj "/CN=postroom $client_id" -sha256 -days "$days" \
  -extfile "$directory/extensions" -CA "$directory/issuer.pem" -CAkey "$directory/issuer.key" -out "$file"
az ad app credential reset --id "$client_id" --append --cert "@$file" --output none
echo "Certificate: $file"
echo "Deploy the stack with SigningKeyArn=$key, then give the credential this key and the certificate"
echo "(the form: Key in AWS KMS; the API: \"kms_key\" and \"certificate\"). Entra needs a moment to know the certificate."
