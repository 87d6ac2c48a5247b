"""Answers that are kept for a day, so that a program may ask again without doing it again.

A POST with `Idempotency-Key` is noted before it is done and its answer after. The same request with the same
key gets that answer; if the gateway died in between, it is told that nobody knows, and nothing is done twice.
"""

import hmac
import logging
import re
from base64 import urlsafe_b64encode
from collections.abc import Awaitable, Callable
from contextlib import suppress
from hashlib import sha256

import msgspec
from cryptography.fernet import Fernet, InvalidToken
from starlette.responses import Response

from gateway.core import clock
from gateway.core.errors import GatewayError, Invalid, Unavailable
from gateway.core.rights import Person, Principal
from gateway.storage.models_rest import AnswerRow
from gateway.storage.store import Store
from web.replies import problem, problem_of

log = logging.getLogger(__name__)

HEADER = "Idempotency-Key"
REPLAYED = {"Idempotent-Replayed": "true"}
KEPT_MS = 24 * 3600 * 1000
MAX_ANSWER = 256 * 1024
# The oldest go first, of each caller and of all.
MAX_OF_CALLER, MAX_OF_ALL = 10_000, 50_000
THIN_EVERY = 64
_KEY = re.compile(r"[\x21-\x7e]{1,64}\Z")
# What is true at this moment only is asked anew.
_PASSING = {408, 429, 503}
_HEADERS = ("content-type", "location", "retry-after")
Do = Callable[[], Awaitable[Response]]


class Asked(msgspec.Struct, frozen=True):
    """Who asks for what; `request` is all of it, as bytes."""

    caller: str
    route: str
    key: str
    request: bytes


class Answer(msgspec.Struct, frozen=True):
    status: int
    headers: dict[str, str]
    body: bytes


def key_of(header: str) -> str:
    """Raises `Invalid` for what is no key."""
    if not _KEY.match(header):
        raise Invalid("%(header)s is 1-64 printable characters without spaces.", header=HEADER)
    return header


def caller_of(who: Principal, *, logged_in: bool = True) -> str:
    """A token of one's own hears no answer to a login: there may be more in it than the token may know."""
    if isinstance(who, Person):
        return f"person {who.id}" if logged_in else f"token of person {who.id}"
    return f"service {getattr(who, 'name', '')}"


class KeptAnswers:
    """What is kept can be read with the gateway's key only, since some answers hold a new token."""

    def __init__(self, store: Store, signing_key: str) -> None:
        secret = hmac.digest(signing_key.encode(), b"passerelle kept answers 1", "sha256")
        self._store = store
        self._secret = secret
        self._box = Fernet(urlsafe_b64encode(secret))
        self._running: set[tuple[str, str, str]] = set()
        self._begun = 0

    async def answer(self, asked: Asked, do: Do) -> Response:
        """Do it, or say again what was answered then; a problem while it is still being done."""
        place = (asked.caller, asked.route, asked.key)
        if place in self._running:
            detail = "The first request with this key is still being answered."
            return problem(409, detail, "in_progress", {"Retry-After": "1"})
        self._running.add(place)
        try:
            digest = hmac.new(self._secret, asked.request, sha256).hexdigest()
            earlier = await self._store.run(lambda: _begin(asked, digest))
            return self._again(earlier, digest) if earlier else await self._first(asked, do)
        finally:
            self._running.discard(place)

    async def _first(self, asked: Asked, do: Do) -> Response:
        self._begun += 1
        if self._begun % THIN_EVERY == 1:
            self._store.submit(lambda: _thin_out(asked.caller))
        try:
            response = await do()
        except GatewayError as error:
            response = problem_of(error)
        # If this cannot be written, a second try is told that nobody knows: right, though not kind.
        with suppress(Unavailable):
            if response.status_code in _PASSING:
                await self._store.run(lambda: _forget(asked))
            else:
                kept = self._box.encrypt(_packed(response))
                await self._store.run(lambda: _keep(asked, response.status_code, kept))
        return response

    def _again(self, row: AnswerRow, digest: str) -> Response:
        if row.digest != digest:
            return problem(422, "This key was used with another request.", "key_reused")
        if row.status == 0:
            detail = (
                "This was begun before and its answer was lost; it may be done or not. "
                "Look before you ask again, with another key."
            )
            return problem(409, detail, "outcome_unknown")
        try:
            kept = msgspec.msgpack.decode(self._box.decrypt(row.answer), type=Answer)
        except (InvalidToken, msgspec.DecodeError):
            return problem(409, "This was done before; its answer can no longer be read.", "outcome_unknown")
        return Response(kept.body, kept.status, kept.headers | REPLAYED)


def _packed(response: Response) -> bytes:
    body = bytes(response.body)
    headers = {name: response.headers[name] for name in _HEADERS if name in response.headers}
    if len(body) > MAX_ANSWER:
        response = problem(409, "This was done; its answer was too long to keep.", "answer_not_kept")
        headers, body = {"content-type": response.headers["content-type"]}, bytes(response.body)
    return msgspec.msgpack.encode(Answer(response.status_code, headers, body))


def _begin(asked: Asked, digest: str) -> AnswerRow | None:
    """The row of an earlier request with this key; None when this is the first, which is noted."""
    found: AnswerRow | None = AnswerRow.get_or_none(*_is(asked))
    if found is not None and found.created_at_ms > clock.now_ms() - KEPT_MS:
        return found
    if found is not None:
        found.delete_instance()
    AnswerRow.create(
        caller=asked.caller, route=asked.route, key=asked.key, digest=digest, status=0, answer=b"",
        created_at_ms=clock.now_ms(),
    )  # fmt: skip
    return None


def _is(asked: Asked) -> tuple[object, ...]:
    return AnswerRow.caller == asked.caller, AnswerRow.route == asked.route, AnswerRow.key == asked.key


def _keep(asked: Asked, status: int, answer: bytes) -> None:
    AnswerRow.update(status=status, answer=answer).where(*_is(asked)).execute()


def _forget(asked: Asked) -> None:
    AnswerRow.delete().where(*_is(asked)).execute()


def _thin_out(caller: str) -> None:
    AnswerRow.delete().where(AnswerRow.created_at_ms <= clock.now_ms() - KEPT_MS).execute()
    for rows, most in ((AnswerRow.caller == caller, MAX_OF_CALLER), (AnswerRow.number > 0, MAX_OF_ALL)):
        newest = AnswerRow.select(AnswerRow.number).where(rows).order_by(AnswerRow.number.desc())
        oldest = newest.offset(most).limit(1).scalar()
        if oldest is not None:
            AnswerRow.delete().where(rows, AnswerRow.number <= oldest).execute()
