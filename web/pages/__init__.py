"""All pages and forms, as one table."""

from web.pages import (
    account,
    account_tokens,
    actions,
    admin,
    admin_activity,
    admin_backup,
    admin_programs,
    admin_settings,
    admin_statistics,
    arrivals,
    assign,
    audit,
    bulk,
    channels,
    claim,
    dashboard,
    declare,
    firmware,
    image,
    imports,
    login,
    module,
    modules,
    notifications,
    people,
    preferences,
    rollouts,
    second_factor,
    services,
    setup,
    types,
    waiting,
)

_PARTS = (
    setup, login, arrivals, dashboard, claim, modules, bulk, imports, waiting, declare, module, actions,
    assign, firmware, image, rollouts, types, account, preferences, account_tokens, second_factor, admin,
    admin_programs, admin_settings, admin_backup, admin_statistics, admin_activity, audit, people,
    services, notifications, channels,
)  # fmt: skip
PAGES = [page for part in _PARTS for page in part.PAGES]
