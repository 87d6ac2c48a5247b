"""REST for programs: one table of operations, from which routes and the OpenAPI document are made."""

from starlette.routing import BaseRoute

from web.api import (
    account,
    arrivals,
    audit,
    auth,
    bootstrap,
    claims,
    clients,
    commands,
    desired,
    docs,
    figures,
    firmware,
    groups,
    house,
    jobs,
    maintenance,
    modules,
    notifications,
    ownership,
    people,
    rollouts,
    settings,
    table,
    telemetry,
    timeline,
    types,
)
from web.site import Site

_PARTS = (
    auth, modules, claims, groups, ownership, commands, desired, telemetry, firmware, jobs, rollouts, house,
    types, figures, settings, audit, maintenance, bootstrap, account, arrivals, people, clients,
    notifications, timeline,
)  # fmt: skip
OPERATIONS = tuple(operation for part in _PARTS for operation in part.OPERATIONS)


def routes(site: Site) -> list[BaseRoute]:
    return [*docs.routes(site, OPERATIONS), *table.routes(site, OPERATIONS)]
