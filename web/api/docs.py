"""The document as JSON, and a page of it for people, with a command to try for each call."""

from functools import lru_cache
from typing import Any

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from web.access import Access
from web.api import examples, openapi
from web.api.table import PREFIX, Operation
from web.arrival import by_cookie
from web.site import Site

Groups = list[tuple[str, list[dict[str, Any]]]]


def routes(site: Site, operations: tuple[Operation, ...]) -> list[Route]:
    # Made when somebody first asks, beside the loop: it takes a third of a second, and few ever do.
    async def document(request: Request) -> Response:
        return JSONResponse(await to_thread.run_sync(openapi.document, operations))

    async def page(request: Request) -> Response:
        visit = by_cookie(request, site)
        groups = await to_thread.run_sync(shown, operations, visit.base_url)
        return await visit.long_page("docs.html", groups=groups, back_path="/api/docs")

    return [
        Route(f"{PREFIX}/openapi.json", document, methods=["GET"]),
        Route("/api/docs", page, methods=["GET"]),
    ]


@lru_cache(4)
def shown(operations: tuple[Operation, ...], base_url: str) -> Groups:
    """Group by group, in the order in which they first come."""
    paths = openapi.document(operations)["paths"]
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in operations:
        described = paths[openapi.path_of(row)][row.method.lower()]
        groups.setdefault(row.tag, []).append(_shown(row, described, base_url))
    return list(groups.items())


def _shown(row: Operation, described: dict[str, Any], base_url: str) -> dict[str, Any]:
    body = described.get("requestBody", {}).get("content", {}).get(openapi.kind_of(row), {}).get("example")
    parameters, url = described["parameters"], base_url + openapi.path_of(row)
    for parameter in parameters:
        if parameter["in"] == "path":
            url = url.replace(f"{{{parameter['name']}}}", str(parameter["example"]))
    needed = [parameter for parameter in parameters if parameter["in"] == "query" and parameter["required"]]
    if needed:
        url += "?" + "&".join(
            f"{p['name']}={examples.of_parameter(p['name'], p['schema'])}" for p in needed
        )
    public = row.access is Access.PUBLIC
    return {
        "method": row.method,
        "path": openapi.path_of(row),
        "id": described["operationId"],
        "summary": row.summary,
        "description": described["description"],
        "access": openapi.WORDS[row.access],
        "parameters": parameters,
        "statuses": [row.status, *sorted(openapi.refused(row))],
        "curl": examples.curl(row.method, url, body, kind=openapi.kind_of(row), public=public),
    }
