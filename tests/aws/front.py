"""AWS as the functions see it here: every call is counted and handed on to the emulator; invoking token-refresh reaches the
process that the benchmark runs. With `hollow`, nothing is behind it: every answer is an empty one, which is all that the
start of a function asks for. Over TLS, with an authority made for the run, or without."""

import collections
import datetime
import http.client
import ipaddress
import json
import re
import ssl
import threading

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from lambda_host import Answering, Server, read_chunks

INVOKE = re.compile(r"/2015-03-31/functions/([^/]+)/invocations")
HOP = {"connection", "transfer-encoding", "content-length", "keep-alive"}


class Front:
    """A place for all of AWS."""

    def __init__(self, upstream=None, tls=None, invoke=None):
        self.calls, self.lock = collections.Counter(), threading.Lock()
        front, local = self, threading.local()

        class Handler(Answering):
            def answer(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if self.headers.get("Transfer-Encoding") == "chunked":
                    body = read_chunks(self.rfile)
                front.count(self.command, self.path, self.headers)
                invoked = INVOKE.match(self.path.replace("%3A", ":"))
                if invoked and invoke:
                    status, headers, told = 200, [], json.dumps(invoke(json.loads(body))).encode()
                elif upstream is None:
                    status, headers, told = 200, [("Content-Type", "application/x-amz-json-1.0")], b"{}"
                else:
                    status, headers, told = self.hand_on(body)
                self.send_response(status)
                for name, value in headers:
                    if name.lower() not in HOP:
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(told)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(told)

            def finish(self):
                super().finish()
                if hasattr(local, "connection"):
                    local.connection.close()
                    del local.connection

            def hand_on(self, body):
                if not hasattr(local, "connection"):
                    local.connection = http.client.HTTPConnection("127.0.0.1", upstream, timeout=60)
                headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP}
                local.connection.request(self.command, self.path, body, headers)
                answer = local.connection.getresponse()
                return answer.status, answer.getheaders(), answer.read()

            do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = answer

        self.server = Server(("127.0.0.1", 0), Handler)
        if tls:
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self.server.server_port}"

    def count(self, method, path, headers):
        signed = re.search(r"/([a-z0-9]+)/aws4_request", headers.get("Authorization", ""))
        service = signed[1] if signed else "?"
        target = headers.get("X-Amz-Target", "").split(".")[-1]
        if service == "s3":
            target = "list" if "list-type" in path else method.lower()
        elif service == "lambda":
            target = "Invoke"
        with self.lock:
            self.calls[f"{service} {target or method}"] += 1

    def take(self):
        """What was called since the last time."""
        with self.lock:
            taken, self.calls = self.calls, collections.Counter()
        return taken

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def authority(directory):
    """A certificate authority of this run in a file, and a server's side of TLS under it, with a P-256 key as AWS has."""
    now = datetime.datetime.now(datetime.UTC)

    def certificate(name, key, issuer, issuer_key, *extensions):
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(issuer).public_key(key.public_key())
        builder = builder.serial_number(x509.random_serial_number())
        builder = builder.not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=30))
        for extension in extensions:
            builder = builder.add_extension(extension, critical=False)
        return builder.sign(issuer_key, hashes.SHA256())

    def named(text):
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    root_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    root = certificate(named("bench authority"), root_key, named("bench authority"), root_key, x509.BasicConstraints(ca=True, path_length=None))
    own = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("localhost")])
    leaf = certificate(named("localhost"), key, root.subject, root_key, own, x509.BasicConstraints(ca=False, path_length=None))
    pem = serialization.Encoding.PEM
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "ca.pem").write_bytes(root.public_bytes(pem))
    (directory / "leaf.pem").write_bytes(
        leaf.public_bytes(pem) + key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "leaf.pem")
    return directory / "ca.pem", context
