"""The start page: what needs somebody now, the last hour, and where a newcomer begins."""

import pytest

from gateway.core import pulse
from gateway.core.errors import Said
from tests.web.house import House

pytestmark = pytest.mark.anyio


async def test_an_empty_house_leads_to_the_first_device(house: House) -> None:
    page = await (await house.browser("admin")).page("/")
    assert "Your first device" in page.text
    assert "curl http://gateway.test/modules/register" in page.text
    assert {"/waiting", "/modules/import"} <= {at.get("href") for _, at in page.elements}
    page = await (await house.browser("user_lea")).page("/")
    assert "You have no modules yet" in page.text and "curl" not in page.text
    assert "/claim" in {at.get("href") for _, at in page.elements}


async def test_it_shows_what_waits_what_went_and_what_is_alerted(house: House) -> None:
    await house.waiting("N-1")
    gone = await house.module("G-1", information={"name": "<b>Gone</b>"})
    house.core.presence.heard(gone)
    house.core.alerting.book.open("disk", "", Said("The disk is nearly full: %(free)s MB left.", free=12))
    reply = await (await house.browser("technician")).http.get("/")
    assert "The disk is nearly full: 12 MB left." in reply.text
    assert "N-1" in reply.text and "Decide" in reply.text
    assert "<b>Gone" not in reply.text


async def test_the_last_hour_is_drawn_with_its_words(house: House, monkeypatch) -> None:
    module = await house.module("A-1", owner="user_lea")
    core, now_s = house.core, 1000.0
    monkeypatch.setattr("gateway.core.pulse.time.monotonic", lambda: now_s)
    core.pulse._at_s = now_s
    for samples in range(400):
        for number in range(samples % 5):
            core.telemetry.report(module, {"n": number + samples * 10})
        now_s += pulse.EVERY_S
        core.pulse.tick()
        core.pulse.tick()
    assert len(core.pulse.samples()) == pulse.KEPT
    assert {round(sample.readings, 1) for sample in core.pulse.samples()} == {0.0, 0.1, 0.2, 0.3, 0.4}
    page = await (await house.browser("technician")).page("/")
    labels = [at["aria-label"] for tag, at in page.elements if tag == "svg" and at.get("role") == "img"]
    assert "Readings a second over the last hour: 0.4 at last, 0 at least, 0.4 at most" in labels
    assert len([at for tag, at in page.elements if tag == "path" and at.get("d", "").startswith("M")]) >= 3
    for words in ("MQTT broker", "Database", "Disk"):
        assert words in page.text
    owner = await (await house.browser("user_lea")).page("/")
    assert "1 module of yours" in owner.text
    assert "The last hour" not in owner.text and "Database" not in owner.text


async def test_messages_of_all_transports_are_counted_where_somebody_knows_them(house: House) -> None:
    heard = 100
    house.core.pulse.count_messages(lambda: heard)
    house.core.pulse._at_s -= pulse.EVERY_S
    heard += 50
    house.core.pulse.tick()
    (sample,) = house.core.pulse.samples()
    assert 4 < sample.messages <= 5.1 and sample.readings == 0
