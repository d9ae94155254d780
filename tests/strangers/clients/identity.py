"""azure-identity for Python gets tokens by secret, certificate, an issuer's assertion, and a code; prints them as one JSON value."""

import json
import os
import sys

from azure.core.exceptions import ClientAuthenticationError
from azure.identity import AuthorizationCodeCredential, CertificateCredential, ClientAssertionCredential, ClientSecretCredential

facts = json.loads(os.environ["STRANGER_FACTS"])
own, other = facts["certificates"]["own"], facts["certificates"]["other"]
# Instance discovery asks Microsoft about hosts it does not know.
common = {"authority": facts["origin"], "disable_instance_discovery": True, "connection_verify": facts["caFile"]}
app = (facts["tenantId"], facts["clientId"])


def token(credential, *scopes):
    try:
        return credential.get_token(*scopes).token
    except ClientAuthenticationError as error:
        return {"refused": error.message}


def alone(kind, *proof, **named):
    return token(kind(*app, *proof, **named, **common), facts["scope"])


def by_certificate(key, certificate):
    return alone(CertificateCredential, certificate_data=f"{key}{certificate}".encode())


def by_assertion(name):
    return alone(ClientAssertionCredential, func=lambda: facts["assertions"][name])


result = {
    "secret": alone(ClientSecretCredential, facts["clientSecret"]),
    "wrongSecret": alone(ClientSecretCredential, "wrong"),
    "certificate": by_certificate(own["key"], own["certificate"]),
    "otherCertificate": by_certificate(other["key"], other["certificate"]),
    "assertion": by_assertion("good"),
    "otherSubject": by_assertion("otherSubject"),
    "otherCase": by_assertion("otherCase"),
    "otherKey": by_assertion("otherKey"),
}
print(json.dumps({"visit": facts["authorize"]}), flush=True)
code = json.loads(sys.stdin.readline())["returned"].split("code=")[1].split("&")[0]
person = AuthorizationCodeCredential(*app, code, facts["redirectUri"], client_secret=facts["clientSecret"], **common)
result["person"] = token(person, "Mail.ReadWrite")
print(json.dumps({"result": result}), flush=True)
