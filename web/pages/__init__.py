"""All pages and forms, as one table."""

from web.pages import (
    account,
    actions,
    admin,
    assign,
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
    setup, login, dashboard, claim, modules, waiting, declare, module, actions, assign, firmware, image,
    rollouts, account, admin, people,
)  # fmt: skip
PAGES = [page for part in _PARTS for page in part.PAGES]
