"""All pages and forms, as one table."""

from web.pages import account, actions, admin, claim, dashboard, login, module, modules, setup, waiting

PAGES = [
    page
    for part in (setup, login, dashboard, claim, modules, waiting, module, actions, account, admin)
    for page in part.PAGES
]
