"""Whose session it is: the name a session is kept under, and a principal as text for the database."""

import json

from gateway.core.rights import (
    Enrolling,
    Everything,
    ModuleIdentity,
    Person,
    Principal,
    Role,
    Service,
    ServiceRole,
)


def session_key(principal: Principal, client_id: str) -> str:
    """Sessions are kept apart by credential, so that nobody can take over, or hold, another's client id."""
    match principal:
        case ModuleIdentity(id):
            return f"module:{id}:{client_id}"
        case Enrolling():
            return f"enrolling::{client_id}"
        case Service(name):
            return f"service:{name}:{client_id}"
        case Person(id):
            return f"person:{id}:{client_id}"
        case Everything():
            return f"gateway::{client_id}"


def as_text(principal: Principal) -> str:
    match principal:
        case ModuleIdentity(id, approved):
            return json.dumps(["module", id, approved])
        case Service(name, role):
            return json.dumps(["service", name, role])
        case Person(id, name, role):
            return json.dumps(["person", id, name, role])
        case Enrolling(nonce):
            return json.dumps(["enrolling", nonce])
        case Everything():
            return json.dumps(["gateway"])


def from_text(text: str) -> Principal | None:
    match json.loads(text):
        case ["module", str(id), bool(approved)]:
            return ModuleIdentity(id, approved)
        case ["service", str(name), str(role)]:
            return Service(name, ServiceRole(role))
        case ["person", int(id), str(name), str(role)]:
            return Person(id, name, Role(role))
        case ["gateway"]:
            return Everything()
        case _:
            return None
