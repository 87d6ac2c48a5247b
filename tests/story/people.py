"""What a person does on the pages, with or without scripts."""

import json
import re

from playwright.sync_api import Locator, Page, expect

from tests.gateway_process import GatewayProcess, wait_until

SETUP_LINK = re.compile(r"https?://\S+/setup#secret=\S+")


def printed_link(gateway: GatewayProcess) -> str:
    """The one-time set-up link, exactly as it was printed."""
    wait_until(lambda: any(map(SETUP_LINK.search, list(gateway.lines))), "the set-up link")
    (link,) = SETUP_LINK.findall("\n".join(gateway.lines))
    return link


def set_up(page: Page, link: str, username: str, password: str) -> None:
    page.goto(link)
    page.get_by_label("Set-up code").fill(link.partition("secret=")[2])
    page.get_by_label("User name").fill(username)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_label("Password again").fill(password)
    page.get_by_role("button", name="Make the account").click()
    expect(page.get_by_role("heading", name="Dashboard")).to_be_visible()


def log_in(page: Page, username: str, password: str) -> None:
    page.goto("/login")
    page.get_by_label("User name").fill(username)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name="Dashboard")).to_be_visible()


def candidate(page: Page, id: str) -> Locator:
    return page.locator(f'.candidate[data-row="{id}"]')


def approve(page: Page, id: str) -> None:
    candidate(page, id).get_by_role("checkbox").check()
    page.get_by_role("button", name="Approve chosen").click()
    expect(page.locator("[data-notice]")).to_contain_text(f"Approved {id}")


def value(page: Page, key: str) -> Locator:
    return page.locator(f'dl.values [data-key="{key}"]')


def send_values(page: Page, values: dict[str, object]) -> None:
    """The form that the generic type's command `set` makes."""
    form = page.locator('form.command[action$="/commands/set"]')
    form.locator("textarea[name=values]").fill(json.dumps(values))
    form.get_by_role("button", name="Send Set values").click()
    expect(page.locator("[data-notice]")).to_contain_text("Set values: ")
