"""The OpenAPI 3.1 document, made from the same rows that serve the calls, and a page to read it."""

import re
from functools import cache
from http import HTTPStatus
from itertools import groupby
from typing import Any

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import models_json_schema
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from web.access import Access
from web.api.models import Problem
from web.api.table import PREFIX, Operation
from web.arrival import by_cookie
from web.site import Site

_REF = "#/components/schemas/{model}"
_PARAMETER = re.compile(r"{(\w+)(:int)?}")
_WORDS = {
    Access.PUBLIC: "everybody",
    Access.READ: "people and service accounts",
    Access.ACT: "people and controllers",
    Access.PERSON: "people",
    Access.CHANGE: "people who may more than look",
    Access.SUPPLY: "technicians, admins and controllers",
    Access.MANAGE: "technicians and admins",
    Access.ADMINISTER: "admins",
}


@cache
def document(operations: tuple[Operation, ...]) -> dict[str, Any]:
    """Made once; nobody changes it."""
    schemas = _schemas(operations)
    paths: dict[str, dict[str, Any]] = {}
    for row in operations:
        path = PREFIX + _PARAMETER.sub(r"{\1}", row.path)
        paths.setdefault(path, {})[row.method.lower()] = _operation(row)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Passerelle", "version": "1", "summary": "Modules, commands and readings"},
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "person": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
                "program": {"type": "http", "scheme": "basic"},
            },
        },
    }


def _schemas(operations: tuple[Operation, ...]) -> dict[str, Any]:
    inputs = {row.body for row in operations if row.body is not None}
    outputs = {row.reply for row in operations if row.reply is not None} | {Problem}
    named = sorted(inputs, key=lambda model: model.__name__), sorted(outputs, key=lambda m: str(m.__name__))
    _, schema = models_json_schema(
        [*((model, "validation") for model in named[0]), *((model, "serialization") for model in named[1])],
        ref_template=_REF,
    )
    return dict(schema["$defs"])


def _operation(row: Operation) -> dict[str, Any]:
    described: dict[str, Any] = {
        "summary": row.summary,
        "description": f"For {_WORDS[row.access]}.",
        "operationId": f"{row.method.lower()}{re.sub(r'[^a-zA-Z]+', '_', row.path)}",
        "tags": [row.tag],
        "parameters": [*_path_parameters(row), *_query_parameters(row.query)],
        "responses": _responses(row),
    }
    if row.body is not None:
        needed = any(field.is_required() for field in row.body.model_fields.values())
        kind = "multipart/form-data" if row.upload else "application/json"
        described["requestBody"] = {"required": needed, "content": {kind: _ref(row.body)}}
    if row.access is not Access.PUBLIC:
        programs = row.access in (Access.READ, Access.ACT, Access.SUPPLY)
        described["security"] = [{"person": []}, *([{"program": []}] if programs else [])]
    return described


def _ref(model: type[BaseModel]) -> dict[str, Any]:
    return {"schema": {"$ref": _REF.format(model=model.__name__)}}


def _path_parameters(row: Operation) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "integer" if whole else "string"}}
        for name, whole in _PARAMETER.findall(row.path)
    ]


def _query_parameters(model: type[BaseModel]) -> list[dict[str, Any]]:
    schema = TypeAdapter(model).json_schema(ref_template=_REF)
    required = schema.get("required", [])
    return [
        {"name": name, "in": "query", "required": name in required, "schema": field}
        for name, field in schema.get("properties", {}).items()
    ]


def _responses(row: Operation) -> dict[str, Any]:
    success: dict[str, Any] = {"description": row.summary}
    if row.reply is not None:
        success["content"] = {row.media: _ref(row.reply)}
    elif row.media != "application/json":
        success["content"] = {row.media: {"schema": {"type": "string"}}}
    refusals = {400, 503, *row.errors}
    if row.access is not Access.PUBLIC:
        refusals |= {401, 403}
    if "{" in row.path:
        refusals.add(404)
    if row.body is not None:
        refusals |= {408, 413}
    body = {"application/problem+json": _ref(Problem)}
    return {str(row.status): success} | {
        str(status): {"description": HTTPStatus(status).phrase, "content": body}
        for status in sorted(refusals)
    }


def routes(site: Site, operations: tuple[Operation, ...]) -> list[Route]:
    made = document(operations)
    ordered = sorted(operations, key=lambda row: row.tag)
    groups = [(tag, list(rows)) for tag, rows in groupby(ordered, key=lambda row: row.tag)]
    shown = [(tag, [_shown(row) for row in rows]) for tag, rows in groups]

    async def openapi(request: Request) -> Response:
        return JSONResponse(made)

    async def page(request: Request) -> Response:
        return by_cookie(request, site).page("docs.html", groups=shown, back_path="/api/docs")

    return [
        Route(f"{PREFIX}/openapi.json", openapi, methods=["GET"]),
        Route("/api/docs", page, methods=["GET"]),
    ]


def _shown(row: Operation) -> dict[str, str]:
    return {
        "method": row.method,
        "path": PREFIX + _PARAMETER.sub(r"{\1}", row.path),
        "summary": row.summary,
        "access": _WORDS[row.access],
    }
