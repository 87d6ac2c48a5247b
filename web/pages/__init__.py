"""All pages and forms, as one table."""

from web.pages import account, actions, admin, dashboard, login, module, modules, setup, waiting

PAGES = [
    page
    for part in (setup, login, dashboard, modules, waiting, module, actions, account, admin)
    for page in part.PAGES
]
