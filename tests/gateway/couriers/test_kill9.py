"""The gateway as a process: killed with news on its way, stopped and started; at least once, the same id."""

from functools import partial

import httpx
import pytest

from tests.gateway.couriers.receivers import http_receiver
from tests.gateway_process import GatewayProcess, free_ports, wait_until

SECRET = "a-secret-that-both-know"


@pytest.fixture
def gateway(tmp_path):
    with GatewayProcess(tmp_path) as process:
        yield process


def register(gateway, serial):
    answer = httpx.post(f"{gateway.url}/modules/register", data={"type": 7, "serial": serial})
    assert answer.status_code < 300, answer.text


def hook(api, url, **more):
    body = {"name": "hook", "kind": "webhook", "target": {"url": url}, "secret": SECRET} | more
    answer = api.post("/notification-channels", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def alerts(api):
    return api.get("/notifications").json()["items"]


def is_told(api, subject):
    return any(alert["subject"] == subject for alert in alerts(api))


def test_news_that_was_on_its_way_arrives_after_kill9_with_the_same_id(gateway):
    (port,) = free_ports(1)
    with http_receiver(SECRET, port, answers=[503]) as receiver:
        with gateway.api() as api:
            hook(api, receiver.url)
            register(gateway, "NEW-1")
            wait_until(lambda: receiver.requests, "the first attempt")
        gateway.kill9()
        tried = {headers["Idempotency-Key"] for _, headers, _ in receiver.requests}
    with http_receiver(SECRET, port) as receiver:
        gateway.start()
        wait_until(lambda: receiver.taken, "the same news again", 90)
        assert set(receiver.keys()) == tried
        (alert,) = receiver.taken[0]["alerts"]
        assert (alert["kind"], alert["subject"]) == ("waiting", "NEW-1")
        with gateway.api() as api:
            assert [one["subject"] for one in alerts(api)] == ["NEW-1"]


def test_kills_between_opening_and_sending_lose_nothing(gateway):
    """Killed a little after each newcomer: what was opened is told, whichever moment it hit."""
    (port,) = free_ports(1)
    with gateway.api() as api:
        hook(api, f"http://127.0.0.1:{port}")
    for number in range(3):
        with gateway.api() as api:
            register(gateway, f"NEW-{number}")
            wait_until(partial(is_told, api, f"NEW-{number}"), "its alert")
        gateway.kill9()
        if number < 2:
            gateway.start()
    with http_receiver(SECRET, port) as receiver:
        gateway.start()

        def told():
            return {alert["subject"] for news in receiver.taken for alert in news["alerts"]}

        wait_until(lambda: told() == {"NEW-0", "NEW-1", "NEW-2"}, "all three", 90)
        assert len(receiver.keys()) == len(set(receiver.keys()))


def test_nothing_leaves_without_a_channel_and_the_log_holds_no_secret(gateway):
    with http_receiver(SECRET) as receiver, gateway.api() as api:
        register(gateway, "NEW-1")
        wait_until(lambda: alerts(api), "its alert")
        number = hook(api, f"{receiver.url}/private-path?token=hidden", active=False)
        register(gateway, "NEW-2")
        wait_until(lambda: len(alerts(api)) == 2, "the second alert")
        assert receiver.requests == []
        assert api.post(f"/notification-channels/{number}/test").json()["taken"]
    gateway.stop()
    log = "\n".join(gateway.lines)
    for secret in (SECRET, "private-path", "hidden"):
        assert secret not in log
