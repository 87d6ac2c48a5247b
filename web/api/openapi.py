"""The OpenAPI 3.1 document, made from the same rows that serve the calls."""

import re
from functools import cache
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import models_json_schema

from gateway.core.access.sessions import COOKIE
from web import csrf, kept
from web.access import Access
from web.api import examples
from web.api.models import Problem
from web.api.table import JSON, PREFIX, Operation

PROBLEM = "application/problem+json"
_REF = "#/components/schemas/{model}"
_PARAMETER = re.compile(r"{(\w+)(:int)?}")
WORDS = {
    Access.PUBLIC: "everybody",
    Access.READ: "people and service accounts",
    Access.ACT: "people who may act, and controllers",
    Access.PERSON: "people",
    Access.CHANGE: "people who may act",
    Access.SUPPLY: "technicians, admins and controllers",
    Access.MANAGE: "technicians and admins",
    Access.ADMINISTER: "admins",
}
_ABOUT = (
    "Log in with `POST /api/v1/auth/login` and send the access token as Bearer, or use the token of a "
    "service account (as Bearer, or with its name as HTTP Basic). A browser's session works too, with its "
    "`X-CSRF-Token`. Times are UTC milliseconds; lists are `{items, next}`, and `next` is the `cursor` of "
    "the next page; errors are RFC 9457 problems with a stable `code`. Who calls too often gets 429 with "
    "`Retry-After`; `GET /api/v1/limits` says what is left. This path stays as it is for a year at least "
    "after another comes."
)
_WHEN = {
    400: "It does not fit: the sentence says what",
    401: "Nobody is logged in, or the token is not valid (any more)",
    403: "The role does not allow it",
    404: "There is nothing of this name, or it is not for the caller to see",
    408: "The body took too long to arrive",
    409: "Somebody else was first, things have moved on, or the first request with this key is not answered",
    413: "The body is too large",
    415: "The body is not JSON",
    422: "The idempotency key was used with another request",
    429: "Too many calls, or no more room for what was sent",
    503: "Not possible right now: storage, or what it takes, is away",
}
_AGAIN = {401: "WWW-Authenticate", 429: "Retry-After", 503: "Retry-After"}
_HEADERS = {
    "Retry-After": {"description": "Seconds until it may work", "schema": {"type": "string"}},
    "WWW-Authenticate": {"description": "How to log in", "schema": {"type": "string"}},
    "Location": {"description": "Where it is from now on", "schema": {"type": "string"}},
    "Idempotent-Replayed": {
        "description": "`true`: this is the answer that was given when it was done",
        "schema": {"type": "string", "enum": ["true"]},
    },
}
_KEY = {
    "name": kept.HEADER, "in": "header", "required": False, "example": "5f0c7a52-7d4b-4a6e-9a43-0d7f6f1c2b11",
    "description": "The same request with the same key is done once; its answer is kept for a day.",
    "schema": {"type": "string", "pattern": "^[!-~]{1,64}$"},
}  # fmt: skip


@cache
def document(operations: tuple[Operation, ...]) -> dict[str, Any]:
    """Made once; nobody changes it."""
    names, schemas = _schemas(operations)
    paths: dict[str, dict[str, Any]] = {}
    for row in operations:
        paths.setdefault(path_of(row), {})[row.method.lower()] = _operation(row, names, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Passerelle", "version": "1", "summary": "Modules, commands and readings",
            "description": _ABOUT,
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": tag} for tag in dict.fromkeys(row.tag for row in operations)],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": _refusals(),
            "headers": _HEADERS,
            "securitySchemes": _SECURITY,
        },
    }  # fmt: skip


_SECURITY = {
    "person": {
        "type": "http", "scheme": "bearer",
        "description": "The access token of a person, his personal token, or the token of a service account",
    },
    "program": {"type": "http", "scheme": "basic", "description": "Name and token of a service account"},
    "session": {
        "type": "apiKey", "in": "cookie", "name": COOKIE,
        "description": f"A browser's session; what changes something needs its token as {csrf.HEADER}",
    },
}  # fmt: skip


def path_of(row: Operation) -> str:
    return PREFIX + _PARAMETER.sub(r"{\1}", row.path)


def _schemas(operations: tuple[Operation, ...]) -> tuple[dict[Any, str], dict[str, Any]]:
    """The name of each model that goes in or out, and all schemas by name."""
    inputs = {row.body for row in operations if row.body is not None}
    outputs = {row.reply for row in operations if row.reply is not None} | {Problem}
    wanted: list[Any] = [
        *((model, "validation") for model in sorted(inputs, key=lambda model: model.__name__)),
        *((model, "serialization") for model in sorted(outputs, key=lambda model: str(model.__name__))),
    ]
    places, schema = models_json_schema(wanted, ref_template=_REF)
    names = {place: ref["$ref"].rsplit("/", 1)[-1] for place, ref in places.items()}
    return names, dict(schema["$defs"])


def _operation(row: Operation, names: dict[Any, str], schemas: dict[str, Any]) -> dict[str, Any]:
    told = " ".join((row.handler.__doc__ or "").split())
    described: dict[str, Any] = {
        "summary": row.summary,
        "description": f"For {WORDS[row.access]}.{' ' + told if told else ''}",
        "operationId": f"{row.method.lower()}{re.sub(r'[^a-zA-Z]+', '_', row.path)}",
        "tags": [row.tag],
        "parameters": [*_path_parameters(row), *_query_parameters(row.query), *[_KEY] * row.is_kept],
        "responses": _responses(row, names, schemas),
    }
    if row.body is not None:
        needed = any(field.is_required() for field in row.body.model_fields.values())
        name = names[row.body, "validation"]
        content = {"schema": _ref(name), "example": examples.of_model(name, schemas)}
        described["requestBody"] = {"required": needed, "content": {kind_of(row): content}}
    described["security"] = _security(row.access)
    return described


def kind_of(row: Operation) -> str:
    return "multipart/form-data" if row.upload else JSON


def _security(access: Access) -> list[dict[str, list[str]]]:
    if access is Access.PUBLIC:
        return []
    schemes = ["person", "session"]
    if access in (Access.READ, Access.ACT, Access.SUPPLY):
        schemes.append("program")
    return [{scheme: []} for scheme in schemes]


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": _REF.format(model=name)}


def _path_parameters(row: Operation) -> list[dict[str, Any]]:
    number = {"type": "integer", "minimum": 0, "maximum": 10**18 - 1}
    word = {"type": "string", "minLength": 1}
    return [
        {
            "name": name, "in": "path", "required": True, "schema": number if whole else word,
            "example": examples.of_parameter(name, number if whole else word),
        }
        for name, whole in _PARAMETER.findall(row.path)
    ]  # fmt: skip


def _query_parameters(model: type[BaseModel]) -> list[dict[str, Any]]:
    schema = TypeAdapter(model).json_schema(ref_template=_REF)
    required = schema.get("required", [])
    return [
        {"name": name, "in": "query", "required": name in required, "schema": _given(field)}
        | ({"description": field["description"]} if "description" in field else {})
        for name, field in schema.get("properties", {}).items()
    ]


def _given(field: dict[str, Any]) -> dict[str, Any]:
    """A query has no null: what is not said is left out."""
    options = [option for option in field.get("anyOf", []) if option != {"type": "null"}]
    plain = {name: value for name, value in field.items() if name not in ("anyOf", "description")}
    if plain.get("default", "") is None:
        del plain["default"]
    return plain | (options[0] if len(options) == 1 else {"anyOf": options} if options else {})


def _responses(row: Operation, names: dict[Any, str], schemas: dict[str, Any]) -> dict[str, Any]:
    success: dict[str, Any] = {"description": row.summary}
    if row.reply is not None:
        name = names[row.reply, "serialization"]
        success["content"] = {row.media: {"schema": _ref(name), "example": examples.of_model(name, schemas)}}
    elif row.media != JSON:
        success["content"] = {row.media: {"schema": {"type": "string"}}}
    headers = (["Location"] if row.status in (201, 202) else []) + ["Idempotent-Replayed"] * row.is_kept
    if headers:
        success["headers"] = {name: {"$ref": f"#/components/headers/{name}"} for name in headers}
    return {str(row.status): success} | {
        str(status): {"$ref": f"#/components/responses/{_name(status)}"} for status in sorted(refused(row))
    }


def refused(row: Operation) -> set[int]:
    """The statuses with which it may be refused."""
    # Public ones too: a token that comes with them must be right.
    refusals = {400, 401, 403, 429, 503, *row.errors}
    if "{" in row.path:
        refusals.add(404)
    if row.body is not None:
        refusals |= {408, 413}
    if row.body is not None and not row.upload:
        refusals.add(415)
    if row.is_kept:
        refusals |= {409, 422}
    return refusals


def _name(status: int) -> str:
    return HTTPStatus(status).name.title().replace("_", "")


def _refusals() -> dict[str, Any]:
    return {_name(status): _refusal(status, when) for status, when in _WHEN.items()}


def _refusal(status: int, when: str) -> dict[str, Any]:
    title = HTTPStatus(status).phrase
    example = {"type": "about:blank", "title": title, "status": status, "detail": f"{when}.", "code": "code"}
    described: dict[str, Any] = {
        "description": when,
        "content": {PROBLEM: {"schema": _ref(Problem.__name__), "example": example}},
    }
    if header := _AGAIN.get(status):
        described["headers"] = {header: {"$ref": f"#/components/headers/{header}"}}
    return described
