"""REST for programs: one table of operations, from which routes and the OpenAPI document are made."""

from starlette.routing import BaseRoute

from web.site import Site


def routes(site: Site) -> list[BaseRoute]:
    return []
