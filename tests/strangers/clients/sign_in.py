"""msal for Python signs in every way there is; one line of JSON per step on standard output, answers on standard input."""

import json
import os
import sys
from urllib.parse import parse_qs, urlsplit

import msal

facts = json.loads(os.environ["STRANGER_FACTS"])


def say(line):
    print(json.dumps(line), flush=True)


def app(proof):
    # Instance discovery asks Microsoft about hosts it does not know.
    return msal.ConfidentialClientApplication(
        facts["clientId"],
        client_credential=proof,
        authority=f"{facts['origin']}/{facts['tenantId']}",
        instance_discovery=False,
        verify=facts["caFile"],
    )


def token(answer):
    return answer.get("access_token") or {"refused": f"{answer.get('error')} {answer.get('error_description')}"}


def alone(proof):
    return token(app(proof).acquire_token_for_client([facts["scope"]]))


own, other = facts["certificates"]["own"], facts["certificates"]["other"]
by_certificate = {"private_key": own["key"], "public_certificate": own["certificate"]}
result = {
    "secret": alone(facts["clientSecret"]),
    "wrongSecret": alone("wrong"),
    "certificate": alone(by_certificate),
    "olderCertificate": alone({"private_key": own["key"], "thumbprint": own["thumbprint"]}),
    "otherCertificate": alone({"private_key": other["key"], "public_certificate": other["certificate"]}),
    "wrongKey": alone({"private_key": other["key"], "thumbprint": own["thumbprint"]}),
}

person = app(by_certificate)
scopes = ["User.Read", "Mail.ReadWrite"]
flow = person.initiate_auth_code_flow(scopes, redirect_uri=facts["redirectUri"], response_mode="query")
say({"visit": flow["auth_uri"]})
returned = urlsplit(json.loads(sys.stdin.readline())["returned"])
answer = {name: values[0] for name, values in parse_qs(returned.query).items()}
first = person.acquire_token_by_auth_code_flow(flow, answer)
if "access_token" not in first:
    sys.exit(f"not signed in: {first}")
account = person.get_accounts()[0]
cached = person.acquire_token_silent(scopes, account)
renewed = person.acquire_token_silent_with_error(scopes, account, force_refresh=True)
again = token(person.acquire_token_by_auth_code_flow(flow, answer))
result["person"] = {
    "who": account["username"],
    "name": first.get("id_token_claims", {}).get("name"),
    "first": token(first),
    "cached": token(cached),
    "renewed": token(renewed),
    "again": again["refused"] if isinstance(again, dict) else again,
}
say({"result": result})
