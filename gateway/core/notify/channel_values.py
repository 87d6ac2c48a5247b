"""A channel: where alerts are told outside of the pages, which of them, and when not."""

import re
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec

from gateway.core.errors import Invalid
from gateway.core.notify.alert_values import KINDS, Sentence, Severity, What
from gateway.core.notify.quiet import QuietHours

ChannelKind = Literal["webhook", "email", "ntfy"]
CHANNEL_KINDS: tuple[ChannelKind, ...] = ("webhook", "email", "ntfy")
MAX_NAME, MAX_URL, MAX_TEXT = 60, 2000, 200
MAX_SECRET = 500
SECURITIES = ("starttls", "tls", "none")
_ADDRESS = re.compile(r"[^@\s<>,;\"]{1,64}@[A-Za-z0-9.\-\[\]:]{1,180}\Z")
_HOST = re.compile(r"[A-Za-z0-9_.:\-\[\]]{1,253}\Z")
_TOPIC = re.compile(r"[A-Za-z0-9_\-]{1,64}\Z")
MOST_RECEIVERS = 20


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """Where it goes. webhook and ntfy: `url`; ntfy: `topic`; e-mail: the rest, `receivers` with commas."""

    url: str = ""
    topic: str = ""
    host: str = ""
    port: int = 587
    security: str = "starttls"
    sender: str = ""
    receivers: str = ""
    user: str = ""

    @property
    def addresses(self) -> list[str]:
        return [part.strip() for part in self.receivers.split(",") if part.strip()]

    @property
    def place(self) -> str:
        """The machine it goes to; what follows in an address may be a secret."""
        return (urlsplit(self.url).hostname or "") if self.url else self.host


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What an admin decides of a channel. `kinds` empty: all; `closings`: also when it is over."""

    name: str
    kind: ChannelKind
    target: Target
    kinds: tuple[str, ...] = ()
    closings: bool = True
    quiet: QuietHours = QuietHours()
    language: str = "en"
    active: bool = True

    def check(self, has_secret: bool) -> None:
        """Raises `Invalid` with a sentence."""
        fits = 0 < len(self.name) <= MAX_NAME and self.name.isprintable()
        if not fits or self.name != self.name.strip():
            raise Invalid("The name of a channel is 1 to %(most)s letters on one line.", most=MAX_NAME)
        if self.kind not in CHANNEL_KINDS:
            raise Invalid("A channel is one of %(known)s.", known=", ".join(CHANNEL_KINDS))
        if unknown := set(self.kinds) - KINDS.keys():
            raise Invalid("%(kind)s is no kind of alert.", kind=min(unknown)[:MAX_TEXT])
        self.quiet.check()
        _CHECKS[self.kind](self.target, has_secret)

    def wants(self, kind: str, what: What) -> bool:
        return self.active and (not self.kinds or kind in self.kinds) and (self.closings or what == "opened")


class Channel(msgspec.Struct, frozen=True, kw_only=True):
    """A channel and how it goes. Times are UTC ms; `fault` says why the newest attempt failed.

    `dropped`: news that it never got, because too much waited or waited too long.
    """

    id: int
    plan: Plan
    has_secret: bool
    created_at_ms: int
    succeeded_at_ms: int | None = None
    failed_at_ms: int | None = None
    fault: Sentence | None = None
    dropped: int = 0


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One alert in a piece of news: as it was when it was told."""

    alert_id: int
    what: str
    kind: str
    severity: Severity
    subject: str
    template: str
    values: dict[str, Any] = {}
    opened_at_ms: int
    closed_at_ms: int | None = None


class News(msgspec.Struct, frozen=True, kw_only=True):
    """What is handed to a courier. `key` stays the same however often it is sent; `what`: `opened`, `closed`,
    `digest` (after quiet hours) or `test`. `left_out`: so many more than a digest has room for."""

    key: str
    what: str
    at_ms: int
    items: tuple[Item, ...] = ()
    left_out: int = 0


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host, parts = None, urlsplit("")
    if parts.scheme not in ("http", "https") or not host or len(url) > MAX_URL or not url.isascii():
        raise Invalid("The address is http://... or https://...")
    if parts.username is not None or parts.password is not None:
        raise Invalid("An address must hold no user and no password.")
    if parts.fragment or any(letter.isspace() or not letter.isprintable() for letter in url):
        raise Invalid("The address is http://... or https://...")


def _check_webhook(target: Target, has_secret: bool) -> None:
    _check_url(target.url)
    if not has_secret:
        raise Invalid("A webhook needs a secret, or nobody could tell whether it is us.")


def _check_ntfy(target: Target, has_secret: bool) -> None:
    _check_url(target.url)
    if not _TOPIC.match(target.topic):
        raise Invalid("A topic of ntfy is 1 to 64 letters, digits, _ or -.")


def _check_email(target: Target, has_secret: bool) -> None:
    if not _HOST.match(target.host):
        raise Invalid("The mail server is a name or an address, such as mail.example.org.")
    if not 1 <= target.port <= 65535:
        raise Invalid("A port is a number from 1 to 65535.")
    if target.security not in SECURITIES:
        raise Invalid("The connection is one of %(known)s.", known=", ".join(SECURITIES))
    for address in (target.sender, *(target.addresses or [""])):
        if not _ADDRESS.match(address) or not address.isprintable():
            raise Invalid("%(address)r is no e-mail address.", address=address[:MAX_TEXT])
    if len(target.addresses) > MOST_RECEIVERS:
        raise Invalid("A channel writes to at most %(most)s addresses.", most=MOST_RECEIVERS)
    if len(target.user) > MAX_TEXT or not target.user.isprintable():
        raise Invalid("The user is one line of at most %(most)s letters.", most=MAX_TEXT)
    if has_secret and target.security == "none":
        raise Invalid("A password needs a connection with TLS or STARTTLS.")


_CHECKS = {"webhook": _check_webhook, "email": _check_email, "ntfy": _check_ntfy}
