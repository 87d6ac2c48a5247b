"""Links to an image that are good for one module, one update and a short time."""

import base64
import hmac
from hashlib import sha256

from firmware.values import Job
from gateway.core import clock
from gateway.core.errors import Forbidden
from gateway.core.values import Module

LIFETIME_S = 15 * 60
# A clock that was set back a little makes no link that was given out just now a stranger's.
SLACK_S = 60
_PURPOSE = b"passerelle firmware link 1"
_DAMAGED = "This link is damaged, or it is for another update."
_EXPIRED = f"This link has expired; it is good for {LIFETIME_S // 60} minutes. Use the module's token."
ANOTHERS = "This link was given to another module."
MAX_TOKEN = 128


class Links:
    """Made with the gateway's signing key; nothing about a link is kept."""

    def __init__(self, key: str) -> None:
        self._key = hmac.digest(key.encode(), _PURPOSE, sha256)

    def token(self, job: Job, module: Module) -> str:
        return self._signed(job.id, f"{module.number}.{clock.now_ms() // 1000 + LIFETIME_S}")

    def url(self, base: str, job: Job, module: Module) -> str:
        return f"{base}/fw/{job.id}?t={self.token(job, module)}"

    def check(self, token: str, job: Job, module: Module) -> None:
        """Raises `Forbidden` with a sentence, unless it was made for this job and module, and lately."""
        if self.holder(token, job.id) != module.number:
            raise Forbidden(ANOTHERS)

    def holder(self, token: str, job_id: str) -> int:
        """The number of the module that a link to this job was given to; raises `Forbidden`."""
        body = token.rpartition(".")[0]
        if len(token) > MAX_TOKEN or not token.isascii() or not job_id.isascii():
            raise Forbidden(_DAMAGED)
        if not hmac.compare_digest(self._signed(job_id, body), token):
            raise Forbidden(_DAMAGED)
        module, expires_s = body.split(".")
        if not 0 < int(expires_s) - clock.now_ms() / 1000 <= LIFETIME_S + SLACK_S:
            raise Forbidden(_EXPIRED)
        return int(module)

    def _signed(self, job_id: str, body: str) -> str:
        mac = hmac.digest(self._key, f"{job_id}\n{body}".encode(), sha256)
        return f"{body}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"
