"""What the broker has seen, for people who look after it."""

from dataclasses import dataclass


@dataclass(slots=True)
class Counts:
    connections_taken: int = 0
    connections_refused: int = 0
    logins_refused: int = 0
    logins_limited: int = 0
    malformed: int = 0
    silent: int = 0
    too_slow: int = 0
    takeovers: int = 0
    revoked: int = 0
    throttled: int = 0
    wills: int = 0
    messages_in: int = 0
    messages_out: int = 0
    to_gateway: int = 0
    duplicates: int = 0
    refused_publishes: int = 0
    refused_subscriptions: int = 0
    dropped_full: int = 0
    dropped_expired: int = 0
    dropped_rights: int = 0
    errors: int = 0
