"""Each courier against a real receiver: what arrives, what a failure is called, what is never said."""

import json
import re
import time
from email import message_from_bytes, policy
from pathlib import Path

import pytest

from gateway.core.notify.channel_values import Channel, Item, News, Plan, Target
from gateway.core.notify.post import Undelivered
from gateway.couriers.mail import Mail
from gateway.couriers.ntfy import Ntfy
from gateway.couriers.webhook import Webhook, signature
from tests.gateway.couriers.receivers import http_receiver, is_signed, mail_server

# With TLS from the start the server does not see that there is any.
pytestmark = [pytest.mark.anyio, pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")]
SECRET, PASSWORD = "shared-secret-1", "mail-password-1"
URL = "https://gateway.test"
OPENED_MS = 1763690000000


def channel(kind, language="en", **target):
    plan = Plan(name="one", kind=kind, target=Target(**target), language=language)
    return Channel(id=1, plan=plan, has_secret=True, created_at_ms=OPENED_MS)


def item(text="MC-1 is <b>away</b>\r\nBcc: x@y.z", **more):
    fields = {
        "alert_id": 7, "what": "opened", "kind": "offline", "severity": "warning", "subject": "MC-1",
        "template": "%(text)s", "values": {"text": text}, "opened_at_ms": OPENED_MS,
    }  # fmt: skip
    return Item(**fields | more)


def news(*items, what="opened"):
    return News(key="0123456789abcdef" * 2, what=what, at_ms=OPENED_MS, items=items or (item(),))


async def fails(sending):
    with pytest.raises(Undelivered) as failed:
        await sending
    assert SECRET not in str(failed.value) and PASSWORD not in str(failed.value)
    return failed.value


async def test_a_webhook_is_signed_and_says_what_happened():
    with http_receiver(SECRET) as receiver:
        await Webhook(URL).send(channel("webhook", url=f"{receiver.url}/hook/abc?x=1"), SECRET, news())
        ((path, headers, body),) = receiver.requests
    assert path == "/hook/abc?x=1" and headers["Idempotency-Key"] == "0123456789abcdef" * 2
    assert is_signed(SECRET, body, headers["X-Passerelle-Signature"])
    assert not is_signed("another", body, headers["X-Passerelle-Signature"])
    assert not is_signed(SECRET, body + b" ", headers["X-Passerelle-Signature"])
    assert json.loads(body) == {
        "id": "0123456789abcdef" * 2, "event": "alert.opened", "at": OPENED_MS, "gateway": URL, "left_out": 0,
        "alerts": [{
            "id": 7, "state": "open", "kind": "offline", "severity": "warning", "subject": "MC-1",
            "text": "MC-1 is <b>away</b>\r\nBcc: x@y.z", "opened_at": OPENED_MS, "closed_at": None,
        }],
    }  # fmt: skip


ANSWERS = [(301, True), (400, True), (410, True), (429, False), (503, False)]


def test_the_check_in_the_docs_is_right():
    text = (Path(__file__).parents[3] / "docs" / "notifications.md").read_text()
    names = {}
    exec(re.search(r"```python\n(.*?)```", text, re.DOTALL)[1], names)
    check, body = names["is_from_gateway"], '{"text": "é"}'.encode()
    header = signature(SECRET, body, int(time.time()))
    assert check(SECRET, body, header)
    assert not check("another", body, header) and not check(SECRET, body + b" ", header)
    old = signature(SECRET, body, int(time.time()) - 301)
    assert not check(SECRET, body, old) and not check(SECRET, body, "")


@pytest.mark.parametrize(("status", "refused"), ANSWERS)
async def test_what_is_not_taken_is_a_failure_and_no_redirect_is_followed(status, refused):
    with http_receiver(answers=[status, 204]) as receiver:
        failed = await fails(
            Webhook(URL).send(channel("webhook", url=f"{receiver.url}/secret-path"), SECRET, news())
        )
        assert len(receiver.requests) == 1
    assert failed.refused is refused and str(status) in str(failed) and "secret-path" not in str(failed)


async def test_nobody_there_is_a_failure_that_names_no_address():
    with http_receiver() as receiver:
        url = f"{receiver.url}/secret-path"
    failed = await fails(Webhook(URL).send(channel("webhook", url=url), SECRET, news()))
    assert not failed.refused and "secret-path" not in str(failed)


async def test_ntfy_gets_title_priority_and_token():
    with http_receiver() as receiver:
        target = {"url": f"{receiver.url}/", "topic": "house"}
        await Ntfy(URL).send(channel("ntfy", **target), SECRET, news(item("é ü")))
        await Ntfy(URL).send(channel("ntfy", "fr", **target), "", news(item(severity="urgent")))
        (_, first, _), (_, second, _) = receiver.requests
        one, other = receiver.taken
    assert first["Authorization"] == f"Bearer {SECRET}" and "Authorization" not in second
    assert (one["topic"], one["title"], one["message"]) == ("house", "Module offline", "é ü")
    assert one["priority"] == 4 and other["priority"] == 5
    assert one["click"] == f"{URL}/notifications"


@pytest.mark.parametrize("tls", [True, False], ids=["tls", "starttls"])
async def test_mail_goes_out_encrypted_with_the_password(tmp_path, monkeypatch, tls):
    with mail_server(tmp_path, tls=tls) as box:
        to = channel(
            "email", host="localhost", port=box.port, security="tls" if tls else "starttls", user="gateway",
            sender="gateway@house.test", receivers="ann@house.test, tom@house.test",
        )  # fmt: skip
        untrusted = await fails(Mail(URL).send(to, PASSWORD, news()))
        assert "certificate is not trusted" in str(untrusted) and box.letters == []
        monkeypatch.setenv("SSL_CERT_FILE", str(box.certificate))
        await Mail(URL).send(to, PASSWORD, news())
        wrong = await fails(Mail(URL).send(to, "wrong", news()))
        assert "user and the password" in str(wrong)
    (envelope,) = box.letters
    assert envelope.rcpt_tos == ["ann@house.test", "tom@house.test"]
    letter = message_from_bytes(envelope.content, policy=policy.default)
    assert letter["Subject"] == "[Passerelle] Module offline" and letter["Bcc"] is None
    assert letter["Message-ID"] == f"<{'0123456789abcdef' * 2}@passerelle>"
    assert letter.get_content().splitlines()[0] == "MC-1 is <b>away</b> Bcc: x@y.z"
    assert PASSWORD not in envelope.content.decode()


async def test_a_digest_is_one_mail_with_a_line_for_each(tmp_path, monkeypatch):
    with mail_server(tmp_path, tls=True) as box:
        monkeypatch.setenv("SSL_CERT_FILE", str(box.certificate))
        to = channel(
            "email", host="localhost", port=box.port, security="tls", user="gateway", sender="g@house.test",
            receivers="ann@house.test",
        )  # fmt: skip
        await Mail(URL).send(to, PASSWORD, news(item("first"), item("second"), what="digest"))
        (envelope,) = box.letters
    letter = message_from_bytes(envelope.content, policy=policy.default)
    assert letter["Subject"] == "[Passerelle] 2 alerts during quiet hours"
    assert [line[10:] for line in letter.get_content().splitlines()[:2]] == ["first", "second"]


async def test_a_test_message_is_worded():
    with http_receiver() as receiver:
        to = channel("ntfy", url=receiver.url, topic="t")
        await Ntfy(URL).send(to, "", News(key="k", what="test", at_ms=1))
        assert receiver.taken[0]["title"] == "Passerelle: a test"
