"""A function as people write it in Python, with boto3 and msal: reads a secret, gets a token, asks Graph for one delta page.

It does less than the importer: nothing is stored, parsed, published or remembered. `python beside.py` is its bootstrap.
"""

import json
import os
import types
import urllib.request

import boto3
import msal
import requests

API = f"http://{os.environ['AWS_LAMBDA_RUNTIME_API']}/2018-06-01/runtime/invocation"
SECRETS, TABLE, ARCHIVE = boto3.client("secretsmanager"), boto3.client("dynamodb"), boto3.client("s3")
SESSION = requests.Session()


class Elsewhere:
    """msal takes https authorities only; the simulated login is on loopback."""

    REAL = "https://login.microsoftonline.com"

    def __init__(self, login):
        self.login = login

    def ask(self, method, url, **more):
        answer = SESSION.request(method, url.replace(self.REAL, self.login), **more)
        return types.SimpleNamespace(status_code=answer.status_code, headers=answer.headers, text=answer.text.replace(self.login, self.REAL))

    def post(self, url, **more):
        return self.ask("POST", url, **more)

    def get(self, url, **more):
        return self.ask("GET", url, **more)

    def close(self):
        SESSION.close()


APPS = {}


def handle(event):
    # Cached, as a careful author would: msal keeps the token in the application.
    app = APPS.get(event["client"])
    if app is None:
        secret = SECRETS.get_secret_value(SecretId=event["secret"])["SecretString"]
        app = APPS[event["client"]] = msal.ConfidentialClientApplication(
            event["client"], client_credential=secret, authority=f"https://login.microsoftonline.com/{event['tenant']}",
            instance_discovery=False, http_client=Elsewhere(event["login"]),
        )
    token = app.acquire_token_for_client(["https://graph.microsoft.com/.default"])
    answer = SESSION.get(event["url"], headers={"Authorization": f"Bearer {token['access_token']}", "Prefer": 'IdType="ImmutableId"'})
    answer.raise_for_status()
    return {"messages": len(answer.json()["value"])}


while True:
    with urllib.request.urlopen(f"{API}/next") as following:
        number, happened = following.headers["Lambda-Runtime-Aws-Request-Id"], json.load(following)
    try:
        path, told = "response", handle(happened)
    except Exception as problem:  # noqa: BLE001: whatever it is, Lambda is told
        path, told = "error", {"errorMessage": repr(problem), "errorType": type(problem).__name__}
    urllib.request.urlopen(urllib.request.Request(f"{API}/{number}/{path}", json.dumps(told).encode(), method="POST")).close()
