"""A stand-in for AWS's STS as far as outbound identity federation goes: the emulator does not know the call.

One loopback server is both: the regional endpoint that answers `GetWebIdentityToken` to whoever signed a request for it, and
the issuer with its discovery document and keys. The tokens are what AWS documents: RS256, `sub` the ARN of the role.
"""

import base64
import json
import re
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

SIGNED = re.compile(r"AWS4-HMAC-SHA256 Credential=([^/]+)/\d{8}/([^/]+)/sts/aws4_request, ")


def encoded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def number(value):
    return encoded(value.to_bytes((value.bit_length() + 7) // 8, "big"))


class Sts:
    """The server; `asked` are the requests for tokens, `enabled` is the account's switch."""

    def __init__(self, role_arn, region):
        self.role_arn, self.region = role_arn, region
        self.enabled = True
        self.asked = []
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                stand_in.document(self)

            def do_POST(self):
                stand_in.call(self)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def document(self, request):
        public = self.key.public_key().public_numbers()
        documents = {
            "/.well-known/openid-configuration": {"issuer": self.url, "jwks_uri": f"{self.url}/.well-known/jwks.json"},
            "/.well-known/jwks.json": {"keys": [{"kty": "RSA", "kid": "1", "alg": "RS256", "n": number(public.n), "e": number(public.e)}]},
        }
        found = documents.get(request.path)
        self.answer(request, 200 if found else 404, json.dumps(found), "application/json")

    def call(self, request):
        body = request.rfile.read(int(request.headers.get("Content-Length", 0))).decode()
        asked = {name: values[0] for name, values in parse_qs(body).items()}
        signed = SIGNED.match(request.headers.get("Authorization", ""))
        self.asked.append(asked)
        if not signed or signed[2] != self.region or not request.headers.get("X-Amz-Security-Token"):
            return self.refuse(request, 403, "InvalidClientTokenId", "not signed for this region's STS with the keys of a role")
        if asked.get("Action") != "GetWebIdentityToken":
            return self.refuse(request, 400, "InvalidAction", "unknown here")
        if not self.enabled:
            return self.refuse(request, 400, "OutboundWebIdentityFederationDisabledException", "Outbound web identity federation is not enabled.")
        if asked.get("SigningAlgorithm") != "RS256" or not 60 <= int(asked.get("DurationSeconds", 300)) <= 3600:
            return self.refuse(request, 400, "ValidationError", "SigningAlgorithm or DurationSeconds")
        token = self.token(asked["Audience.member.1"], int(asked.get("DurationSeconds", 300)))
        self.answer(request, 200, f"""<GetWebIdentityTokenResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <GetWebIdentityTokenResult><WebIdentityToken>{token}</WebIdentityToken><Expiration>2099-01-01T00:00:00Z</Expiration></GetWebIdentityTokenResult>
  <ResponseMetadata><RequestId>{uuid.uuid4()}</RequestId></ResponseMetadata>
</GetWebIdentityTokenResponse>""")

    def token(self, audience, seconds):
        now = int(time.time())
        claims = {
            "iss": self.url, "sub": self.role_arn, "aud": audience, "iat": now, "nbf": now, "exp": now + seconds, "jti": str(uuid.uuid4()),
            "https://sts.amazonaws.com/": {"aws_account": self.role_arn.split(":")[4]},
        }
        text = ".".join(encoded(json.dumps(part).encode()) for part in ({"alg": "RS256", "typ": "JWT", "kid": "1"}, claims))
        return f"{text}.{encoded(self.key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256()))}"

    def refuse(self, request, status, code, message):
        self.answer(request, status, f"""<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error><RequestId>{uuid.uuid4()}</RequestId>
</ErrorResponse>""")

    def answer(self, request, status, text, kind="text/xml"):
        body = text.encode()
        request.send_response(status)
        request.send_header("Content-Type", kind)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)
