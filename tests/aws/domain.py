"""A domain of one's own in front of the HTTP API: https on loopback, handed on to the emulator under the name the browser used."""

import http.client
import ssl
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from processes import AWS

# Of one connection, not of what is said over it; the length is told anew.
HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "date", "server"}


class Domain:
    """https://localhost:PORT, with a certificate that nobody knows."""

    def __init__(self, emulator_port, api):
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def hand_on(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                there = http.client.HTTPConnection("127.0.0.1", emulator_port, timeout=60)
                try:
                    headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP}
                    there.request(self.command, f"/_aws/execute-api/{api}/$default{self.path}", body or None, headers)
                    answer = there.getresponse()
                    told = answer.read()
                finally:
                    there.close()
                self.send_response(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in HOP:
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(told)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(told)

            do_GET = do_POST = do_HEAD = do_PUT = do_PATCH = do_DELETE = hand_on

            def log_message(self, *_):
                """The emulator keeps a log."""

        key, certificate = AWS / "domain.key", AWS / "domain.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1", "-subj", "/CN=localhost",
             "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate],
            check=True, capture_output=True, timeout=60,
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.origin = f"https://localhost:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
