"""Between two steps of a log-in in a browser: the password was right, the code is still to come."""

import hmac
import secrets
from collections import OrderedDict
from hashlib import sha256

from gateway.core import clock, tokens
from gateway.core.errors import Unauthenticated
from gateway.core.values import Confidential

MINUTES = 10
MAX_HALFWAY = 1000


class Half(Confidential, frozen=True):
    person_id: int
    place: str
    until_ms: int


class Halfway:
    """Who is between the two, by a secret that their browser keeps; the oldest go when there are too many."""

    def __init__(self) -> None:
        self._halves: OrderedDict[str, Half] = OrderedDict()

    def begin(self, person_id: int, place: str) -> str:
        token = tokens.new_token()
        until_ms = clock.now_ms() + MINUTES * 60_000
        self._halves[tokens.digest(token)] = Half(person_id, place, until_ms)
        if len(self._halves) > MAX_HALFWAY:
            self._halves.popitem(last=False)
        return token

    def find(self, token: str | None, place: str) -> Half | None:
        """As long as it is not over, and from where the password came."""
        half = self._halves.get(tokens.digest(token or ""))
        return half if half and half.place == place and clock.now_ms() < half.until_ms else None

    def owner(self, token: str | None, place: str) -> int:
        half = self.find(token, place)
        if half is None:
            raise Unauthenticated("That took too long. Please begin again with your password.")
        return half.person_id

    def end(self, token: str) -> None:
        self._halves.pop(tokens.digest(token), None)


class KnownBrowsers:
    """A mark for browsers that somebody has logged in with, so that tries of others count apart from his.

    It proves nothing but that: a browser with it has tries of its own, also behind an address that others
    share.
    """

    def __init__(self, signing_key: str) -> None:
        self._key = hmac.digest(signing_key.encode(), b"known browsers", "sha256")

    def mark(self, person_id: int) -> str:
        words = f"{person_id}.{secrets.token_hex(16)}"
        return f"{words}.{self._mac(words)}"

    def knows(self, mark: str | None, person_id: int) -> bool:
        words, _, mac = (mark or "")[:200].rpartition(".")
        right = hmac.compare_digest(self._mac(words).encode(), mac.encode(errors="replace"))
        return right and words.partition(".")[0] == str(person_id)

    def _mac(self, words: str) -> str:
        return hmac.new(self._key, words.encode(errors="replace"), sha256).hexdigest()
