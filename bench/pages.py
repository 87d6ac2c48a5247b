"""What is measured of the list of modules: the server's time, a real browser's first paint and long tasks."""

import asyncio
import http.client
import json
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from playwright.sync_api import Page, sync_playwright

from bench.scenarios import REST_S, Figures, Size, Start, quiet, under_load
from bench.servers import Server

LISTED, MANY, TALKING = 1000, 5000, 200
ASKED, LOADED, CHANGES = 20, 5, 20
ARGS = ["--no-sandbox", "--disable-background-networking", "--disable-component-update"]
WATCH = """
window.longTasks = [];
new PerformanceObserver((list) => window.longTasks.push(...list.getEntries().map((task) => task.duration)))
  .observe({ entryTypes: ["longtask"] });
"""
# A reading holds the time when it was sent; both clocks are this machine's.
LATE = """
window.late = [];
new MutationObserver(() => {
  const place = document.querySelector('tr[data-module] [data-key="sent_ms"]');
  const shown = place?.textContent.replace(/\\D/g, "");
  if (shown && shown !== window.shownLast) window.late.push(Date.now() - Number(shown));
  window.shownLast = shown;
}).observe(document.querySelector("table.modules"), { subtree: true, childList: true, characterData: true });
"""


async def pages(start: Start, size: Size) -> Figures:
    """1,000 modules listed: server, paint, a live row; 5,000: scrolled and searched while 200 talk."""
    async with under_load(start, LISTED) as (server, load):
        await load.ask("connect", count=LISTED - 1)
        await quiet(server)
        asked = await asyncio.to_thread(answers, server)
        shown = await asyncio.to_thread(painted, server)
    async with under_load(start, MANY) as (server, load):
        await load.ask("connect", count=TALKING)
        await quiet(server)
        talk = load.ask("steady", devices=TALKING, rate=TALKING, seconds=size.live_s, base=time.monotonic())
        tasks, _ = await asyncio.gather(asyncio.to_thread(scrolled, server, size.live_s), talk)
    return asked | shown | tasks


def answers(server: Server) -> Figures:
    """The page and a part of the list, asked by one who keeps his connection; medians."""
    api = http.client.HTTPConnection("127.0.0.1", server.web_port, timeout=30)
    cookie = session(api, server)

    def took(path: str) -> float:
        begin = time.perf_counter()
        api.request("GET", path, headers={"Cookie": cookie})
        reply = api.getresponse()
        reply.read()
        if reply.status != 200:
            raise RuntimeError(f"{path} was answered with {reply.status}")
        return (time.perf_counter() - begin) * 1000

    figures = {}
    for name, path in (("page_ms", "/modules"), ("rows_ms", "/modules/rows?start=300&count=100")):
        figures[name] = statistics.median([took(path) for _ in range(ASKED)])
    return figures


def session(api: http.client.HTTPConnection, server: Server) -> str:
    """Log in over the form; the cookie."""
    api.request("GET", "/login")
    reply = api.getresponse()
    visitor = (reply.getheader("set-cookie") or "").partition(";")[0]
    token = reply.read().decode().partition('name="csrf" value="')[2].partition('"')[0]
    fields = f"csrf={token}&username=bench&password={server.password}"
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Cookie": visitor}
    api.request("POST", "/login", fields, headers)
    reply = api.getresponse()
    reply.read()
    cookies = [value.partition(";")[0] for name, value in reply.getheaders() if name == "set-cookie"]
    return "; ".join(cookies)


@contextmanager
def browser(server: Server) -> Iterator[Page]:
    """A page in a fresh profile, logged in."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGS)
        page = chromium.new_page(base_url=f"http://127.0.0.1:{server.web_port}")
        page.add_init_script(WATCH)
        page.goto("/login")
        page.fill('[name="username"]', "bench")
        page.fill('[name="password"]', server.password)
        page.press('[name="password"]', "Enter")
        page.wait_for_selector("nav.nav")
        yield page
        chromium.close()


def painted(server: Server) -> Figures:
    """From asking for the page to its first useful paint, and from a reading to the row that shows it."""
    with browser(server) as page:
        paints = []
        for _ in range(LOADED):
            page.goto("/modules?sort=-name")
            page.wait_for_selector("tr[data-index]")
            paints.append(
                page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
            )
        page.evaluate(LATE)
        late = list(changed(server, page))
    return {
        "paint_ms": statistics.median(paints),
        "live_ms": statistics.median(late),
        "live_most_ms": max(late),
    }


def changed(server: Server, page: Page) -> Iterator[float]:
    """The delays of so many readings of the module in the first row."""
    id, token = server.devices[LISTED - 1]
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id=id)
    client.username_pw_set(id, token)
    client.connect("127.0.0.1", server.mqtt_port)
    client.loop_start()
    for number in range(CHANGES + 1):
        reading = json.dumps({"sent_ms": int(time.time() * 1000)})
        client.publish(f"gw/1/{id}/up/telemetry", reading, qos=1).wait_for_publish(10)
        page.wait_for_timeout(1500 if number == 0 else 400)
        if number == 0:
            page.evaluate("window.late.length = 0")
    client.disconnect()
    client.loop_stop()
    yield from page.evaluate("window.late")


def scrolled(server: Server, seconds: float) -> Figures:
    """Down the whole list, and through a search, letter by letter."""
    with browser(server) as page:
        page.goto("/modules")
        page.wait_for_selector("tr[data-index]")
        page.wait_for_timeout(REST_S * 1000)
        opening = tasks(page)
        end = time.monotonic() + seconds / 2
        while time.monotonic() < end:
            page.mouse.wheel(0, 3000)
            page.wait_for_timeout(30)
        far = page.evaluate("scrollY")
        scrolling = tasks(page)
        page.locator("#q").press_sequentially("bench-012", delay=120)
        page.wait_for_timeout(1000)
        found = page.locator("tr[data-module]").count()
        searching = tasks(page)
    return {
        "opening_task_ms": max(opening, default=0), "scroll_task_ms": max(scrolling, default=0),
        "search_task_ms": max(searching, default=0), "scrolled_px": far, "found_rows": found,
    }  # fmt: skip


def tasks(page: Page) -> list[Any]:
    """The lengths of the long tasks since the last time, in ms."""
    return list(page.evaluate("window.longTasks.splice(0)"))
