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


def holder(principal: Principal) -> str:
    """The credential: what a module was approved for does not change it, a re-enrolment is another one."""
    match principal:
        case ModuleIdentity(id, _, claim):
            return f"module:{id}:{claim}"
        case Enrolling(nonce):
            return f"enrolling:{nonce}"
        case Service(name):
            return f"service:{name}"
        case Person(id):
            return f"person:{id}"
        case Everything():
            return "gateway"


def name_of(principal: Principal) -> str:
    """What a session is asked for by when rights change: the module's id or the service's name."""
    match principal:
        case ModuleIdentity(id):
            return id
        case Service(name):
            return name
        case _:
            return ""


def session_key(principal: Principal, client_id: str) -> str:
    """Sessions are kept apart by credential, so that nobody can take over, or hold, another's client id."""
    return f"{holder(principal)}:{client_id}"


def as_text(principal: Principal) -> str:
    match principal:
        case ModuleIdentity(id, approved, claim):
            return json.dumps(["module", id, approved, claim])
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
        case ["module", str(id), bool(approved), int(claim)]:
            return ModuleIdentity(id, approved, claim)
        case ["service", str(name), str(role)]:
            return Service(name, ServiceRole(role))
        case ["person", int(id), str(name), str(role)]:
            return Person(id, name, Role(role))
        case ["gateway"]:
            return Everything()
        case _:
            return None
