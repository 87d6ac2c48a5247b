"""All pages and forms, as one table."""

from web.pages import (
    account,
    actions,
    admin,
    admin_programs,
    assign,
    bulk,
    claim,
    dashboard,
    declare,
    firmware,
    image,
    login,
    module,
    modules,
    people,
    rollouts,
    setup,
    waiting,
)

_PARTS = (
    setup, login, dashboard, claim, modules, bulk, waiting, declare, module, actions, assign, firmware, image,
    rollouts, account, admin, admin_programs, people,
)  # fmt: skip
PAGES = [page for part in _PARTS for page in part.PAGES]
