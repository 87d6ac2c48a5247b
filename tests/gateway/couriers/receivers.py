"""Who gets alerts, for real: HTTP that checks signatures, a mail server with TLS and a password."""

import hmac
import json
import re
import ssl
import subprocess
import threading
import time
from contextlib import contextmanager
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult

SIGNATURE = re.compile(r"t=(\d+),v1=([0-9a-f]{64})\Z")
FRESH_S = 300


def is_signed(secret, body, header):
    """As docs/notifications.md tells receivers to check."""
    found = SIGNATURE.match(header or "")
    if found is None or abs(time.time() - int(found[1])) > FRESH_S:
        return False
    wanted = hmac.new(secret.encode(), f"{found[1]}.".encode() + body, sha256).hexdigest()
    return hmac.compare_digest(wanted, found[2])


class HttpReceiver(ThreadingHTTPServer):
    """`answers`: statuses, one after another, the last for ever. `taken`: what was answered with 2xx."""

    daemon_threads = True

    def __init__(self, secret="", port=0, answers=(204,)):
        super().__init__(("127.0.0.1", port), _Hook)
        self.secret, self.answers = secret, list(answers)
        self.requests, self.taken = [], []

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"

    def keys(self):
        return [one["id"] for one in self.taken]

    def handle_error(self, request, client_address):
        """A client that was killed is none of our business."""


class _Hook(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        answers = self.server.answers
        status = answers.pop(0) if len(answers) > 1 else answers[0]
        self.server.requests.append((self.path, dict(self.headers), body))
        if self.server.secret and not is_signed(
            self.server.secret, body, self.headers["X-Passerelle-Signature"]
        ):
            status = 401
        if 200 <= status < 300:
            self.server.taken.append(json.loads(body))
        self.send_response(status)
        if 300 <= status < 400:
            self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_POST

    def log_message(self, *_):
        """Nothing: the test tells what came."""


@contextmanager
def http_receiver(secret="", port=0, answers=(204,)):
    server = HttpReceiver(secret, port, answers)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Mailbox:
    def __init__(self):
        self.letters = []

    async def handle_DATA(self, server, session, envelope):
        self.letters.append(envelope)
        return "250 OK"


class _Controller(Controller):
    def __init__(self, handler, starttls, **options):
        self._starttls = starttls
        super().__init__(handler, hostname="127.0.0.1", port=0, **options)

    def factory(self):
        return SMTP(
            self.handler, tls_context=self._starttls, require_starttls=self._starttls is not None,
            authenticator=_right, auth_required=True, auth_require_tls=self._starttls is not None,
        )  # fmt: skip

    def _trigger_server(self):
        """Any free port was asked for; it is known once it listens."""
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


def _right(server, session, envelope, mechanism, login):
    right = (login.login, login.password) == (b"gateway", b"mail-password-1")
    return AuthResult(success=right, handled=right)


@contextmanager
def mail_server(folder, *, tls):
    """`tls`: from the start, else by STARTTLS. Yields the mailbox, with its port and its certificate."""
    certificate, key = folder / "mail.pem", folder / "mail.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    box = Mailbox()
    controller = _Controller(box, None if tls else context, ssl_context=context if tls else None)
    controller.start()
    try:
        box.port, box.certificate = controller.port, certificate
        yield box
    finally:
        controller.stop()
