"""The pages of firmware: uploads and their errors, assignments, rollouts, and for whom they are."""

import base64
import re
from html import unescape

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.core import clock
from tests.web.house import Caller, House
from tests.web.reader import Page

pytestmark = pytest.mark.anyio
EVIL = "<script>alert('x')</script><img src=x onerror=alert(1)>"
FILLED = {"serial": "pump-2", "version": "2.0", "type": "7"}


async def upload(browser: Caller, data: bytes = b"an image", **fields: str) -> httpx.Response:
    """The form as its page renders it, the token before the file."""
    form = (await browser.page("/firmware")).form("/firmware")
    known = {name: values[0] for name, values in form.fields.items() if name != "file"}
    return await browser.http.post("/firmware", data=known | FILLED | fields, files={"file": ("x", data)})


def errors(text: str) -> dict[str, str]:
    """What the upload form says beside its fields."""
    found = re.findall(r'<p class="field-error"[^>]*data-error="(\w+)">([^<]+)</p>', text)
    return {name: unescape(said) for name, said in found}


async def test_an_image_comes_in_by_form_and_stands_in_the_catalogue(house: House) -> None:
    browser = await house.browser("technician")
    reply = await upload(browser, notes=EVIL, hardware="ESP32-S3, esp32", min_version="1.5")
    assert reply.status_code == 303
    page = await browser.page(reply.headers["location"])
    (image,) = house.firmware.images.all()
    assert f"pump-2 is in the catalogue: 8 B, SHA-256 {image.digest}." in page.notice
    assert (image.serial, image.version, image.type, image.size) == ("pump-2", "2.0", 7, 8)
    assert (image.hardware, image.min_version) == (("esp32", "esp32-s3"), "1.5")
    assert EVIL in page.text and "this gateway" in page.text and "runs on 0" in page.text
    own = await browser.page(f"/firmware/{image.id}")
    assert EVIL in own.text and image.digest in own.text and image.md5 in own.text
    assert not [tag for tag, at in own.elements if tag == "img" and at.get("src") == "x"]


@pytest.mark.parametrize(
    ("fields", "field", "said"),
    [
        ({"serial": "no spaces please"}, "serial", "must be 1 to 64 letters"),
        ({"version": ""}, "version", "must be 1 to 64 letters"),
        ({"type": ""}, "type", "Choose the module type"),
        ({"type": "99999"}, "type", "no module type"),
        ({"hardware": "white space"}, "hardware", "is no hardware name"),
        ({"min_version": "~"}, "min_version", "minimum version"),
        ({"signature": "bm8="}, "signature", "No key that the gateway trusts"),
        ({"serial": "PUMP-1"}, "serial", "There is a firmware"),
    ],
)
async def test_what_is_wrong_is_said_beside_its_field(house: House, fields, field: str, said: str) -> None:
    await house.image("pump-1")
    reply = await upload(await house.browser("technician"), notes="typed before", **fields)
    assert reply.status_code in (400, 409)
    found = errors(reply.text)
    assert list(found) == [field] and said in found[field]
    form = Page(reply.text).form("/firmware")
    expected = FILLED | fields
    assert form.fields["serial"] == [expected["serial"]]
    assert "typed before" in Page(reply.text).text
    assert [image.serial for image in house.firmware.images.all()] == ["pump-1"]
    folder = house.core.settings.data / "firmware"
    assert not list(folder.rglob("*.part"))


async def test_a_file_that_cannot_be_taken_says_so_beside_the_file(house: House) -> None:
    await house.image("pump-1", b"the same bytes")
    browser = await house.browser("technician")
    for data, said in ((b"", "empty"), (b"the same bytes", "pump-1"), (b"\xe9" * 40, "damaged")):
        reply = await upload(browser, data)
        assert reply.status_code in (400, 409)
        assert said in errors(reply.text)["file"]
    without = await browser.http.post(
        "/firmware", data=FILLED | {"csrf": browser.session.csrf}, files={"other": ("x", b"y")}
    )
    assert without.status_code == 400


async def test_an_upload_without_the_pages_token_is_refused(house: House) -> None:
    browser = await house.browser("technician")
    for token in ("", "wrong"):
        reply = await browser.http.post(
            "/firmware", data=FILLED | {"csrf": token}, files={"file": ("x", b"y")}
        )
        assert reply.status_code == 403
    late = [("serial", (None, "a")), ("file", ("x", b"y")), ("csrf", (None, browser.session.csrf))]
    assert (await browser.http.post("/firmware", files=late)).status_code == 403
    assert not house.firmware.images.all()


async def test_users_see_the_firmware_of_their_own_modules_and_nothing_else(house: House) -> None:
    image = await house.image("pump-2")
    module = await house.module("P-1", owner="user")
    await house.firmware.assignments.assign("P-1", image.id, await house.person("technician"))
    user, staff = await house.browser("user"), await house.browser("technician")
    for path in ("/firmware", f"/firmware/{image.id}", "/rollouts", "/rollouts/new"):
        await user.page(path, 403)
        await staff.page(path)
    page = await user.page("/modules/P-1")
    assert "pump-2" in page.text and "Assigned by technician" in page.text
    assert not [form for form in page.forms if "/firmware" in form.action]
    job = house.firmware.ledger.latest(module.number)
    for action in ("", "/cancel", "/retry", "/unassign"):
        data = {"csrf": user.session.csrf, "image": str(image.id), "job": job.id, "confirm": "yes"}
        assert (await user.http.post(f"/modules/P-1/firmware{action}", data=data)).status_code == 403
    assert house.firmware.ledger.latest(module.number) == job


async def test_an_image_is_assigned_looked_at_and_taken_back(house: House) -> None:
    image, module = await house.image("pump-2"), await house.module("P-1")
    browser = await house.browser("technician")
    page = await browser.done("/modules/P-1", "/modules/P-1/firmware", image=str(image.id))
    assert page.notice == "pump-2 is assigned."
    job = house.firmware.ledger.latest(module.number)
    assert job is not None and job.state == "assigned"
    assert "The module is offered it when it connects." in page.text
    listed = await browser.page("/firmware")
    assert "Old" not in listed.text and "P-1" in listed.text
    away = {"job": job.id}
    refused = await browser.refused("/modules/P-1", "/modules/P-1/firmware/cancel", 400, **away)
    assert "Tick the box" in refused.notice
    done = await browser.done("/firmware", "/modules/P-1/firmware/cancel", confirm="yes")
    assert "The update of P-1 was cancelled" in done.notice
    page = await browser.page("/modules/P-1")
    assert "Cancelled by technician" in page.text
    page = await browser.done("/modules/P-1", "/modules/P-1/firmware/retry")
    assert "tried again" in page.notice
    past = await browser.page(f"/modules/P-1?job={job.id}")
    assert past.text.count("Cancelled by technician") == 3  # on the card, in its steps, on the time line


async def test_a_time_is_read_on_the_clock_of_who_types_it(house: House) -> None:
    image, module = await house.image("pump-2"), await house.module("P-1")
    browser = await house.browser("technician")
    year = int(clock.now_ms() / 1000 / 86400 / 365.2425) + 1970
    typed = {"image": str(image.id), "not_before": f"{year + 1}-01-05T12:00", "zone": "Asia/Tokyo"}
    soon = clock.now_ms() + 360 * 86400 * 1000
    page = await browser.done("/modules/P-1", "/modules/P-1/firmware", **typed)
    due = house.firmware.ledger.latest(module.number).due_ms
    assert due % 86_400_000 == 3 * 3_600_000 and due < soon + 10 * 86400 * 1000
    assert "It is due" in page.text
    for wrong in ({"not_before": "soon"}, {"zone": "Nowhere/Land"}, {"not_before": "9999-01-01T00:00"}):
        refused = await browser.refused("/modules/P-1", "/modules/P-1/firmware", 400, **(typed | wrong))
        assert refused.notice
    assert house.firmware.ledger.latest(module.number).due_ms == due


async def test_what_does_not_fit_says_why_and_only_admins_override(house: House) -> None:
    image = await house.image("pump-2", hardware=("esp8266",))
    module = await house.module("P-1", hardware="esp32-s3")
    staff, admin = await house.browser("technician"), await house.browser("admin")
    for path in ("/modules/P-1", f"/firmware/{image.id}"):
        page = await staff.page(path)
        assert "esp8266" in page.text and "esp32-s3" in page.text
        assert not [at for tag, at in page.elements if at.get("name") == "override"]
    (box,) = [at for _, at in (await staff.page("/firmware/1")).elements if at.get("name") == "id"]
    assert "disabled" in box
    for caller, extra, status in ((staff, {}, 409), (staff, {"override": "yes"}, 403), (admin, {}, 409)):
        data = {"csrf": caller.session.csrf, "image": str(image.id)} | extra
        reply = await caller.http.post("/modules/P-1/firmware", data=data)
        assert reply.status_code in (status, 409)
        assert house.firmware.ledger.latest(module.number) is None
    page = await admin.done("/modules/P-1", "/modules/P-1/firmware", image="1", override="yes")
    assert page.notice == "pump-2 is assigned."


async def test_several_at_once_and_what_could_not_be_done(house: House) -> None:
    image = await house.image("pump-2", type=7)
    for serial in ("P-1", "P-2", "P-3"):
        await house.module(serial, information={"name": EVIL})
    await house.module("W-1", type=8)
    browser = await house.browser("technician")
    path = f"/firmware/{image.id}"
    refused = await browser.refused(path, f"{path}/assign", 400)
    assert refused.notice == "Choose at least one module first."
    page = await browser.done(path, f"{path}/assign", id=["P-1", "P-3", "W-1", "NOBODY"])
    assert "pump-2 is assigned to P-1, P-3." in page.notice
    assert "W-1" in page.notice and "NOBODY" in page.notice
    assert {job.module_number for job in house.firmware.ledger.open_jobs()} == {
        house.core.registry.get(serial).number for serial in ("P-1", "P-3")
    }
    found = await browser.page(f"{path}?q=P-2")
    assert [at["value"] for _, at in found.elements if at.get("name") == "id"] == ["P-2"]


async def test_an_image_is_deleted_only_when_nobody_needs_it(house: House) -> None:
    image, other = await house.image("pump-2"), await house.image("pump-3")
    await house.module("P-1")
    browser = await house.browser("technician")
    await house.firmware.assignments.assign("P-1", image.id, "test")
    page = await browser.page(f"/firmware/{image.id}")
    assert "It cannot be deleted" in page.text and "P-1" in page.text
    assert not [form for form in page.forms if form.action.endswith("/delete")]
    data = {"csrf": browser.session.csrf, "confirm": "yes"}
    assert (await browser.http.post(f"/firmware/{image.id}/delete", data=data)).status_code == 409
    path = f"/firmware/{other.id}"
    await browser.refused(path, f"{path}/delete", 400)
    page = await browser.done(path, f"{path}/delete", confirm="yes")
    assert page.notice == "pump-3 and its file were deleted."
    await browser.page(path, 404)


async def test_admins_say_whose_signatures_count(house: House) -> None:
    key = base64.b64encode(Ed25519PrivateKey.generate().public_key().public_bytes_raw()).decode()
    admin, staff = await house.browser("admin"), await house.browser("technician")
    page = await staff.page("/firmware")
    assert house.firmware.signing.public_key in page.text
    assert not [form for form in page.forms if form.action.startswith(("/firmware/policy", "/firmware/keys"))]
    page = await admin.done("/firmware", "/firmware/keys", name="ACME tools", public_key=key)
    assert page.notice == "Images that ACME tools has signed are trusted now." and key in page.text
    refused = await admin.refused("/firmware", "/firmware/keys", 400, name="Other", public_key="no key")
    assert "Ed25519" in refused.notice and refused.form("/firmware/keys").fields["name"] == ["Other"]
    await admin.refused("/firmware", "/firmware/policy", 400, require_vendor="yes")
    page = await admin.done("/firmware", "/firmware/policy", require_vendor="yes", confirm="yes")
    assert house.firmware.signing.policy.require_vendor
    reply = await upload(staff)
    assert "vendor's signature" in errors(reply.text)["signature"]
    await admin.done("/firmware", "/firmware/policy", require_vendor="no")
    await admin.done("/firmware", "/firmware/keys/ACME%20tools/delete", confirm="yes")
    assert not house.firmware.signing.keys


async def test_a_rollout_is_planned_halted_and_taken_back(house: House) -> None:
    image = await house.image("pump-2")
    for number in range(5):
        await house.module(f"P-{number}")
    browser = await house.browser("technician")
    plan = {"canary": ["P-0"], "percent": "50", "not_while": "pump = true\nmode = night", "day": ["0", "6"]}
    plan |= {"from": "22:00", "to": "05:00", "min_battery": "40", "never_both": "P-1, P-2"}
    page = await browser.done(f"/rollouts/new?firmware={image.id}", "/rollouts", **plan)
    (rollout,) = house.firmware.rollouts.all()
    assert page.notice == "pump-2 for Generic has begun."
    made = rollout.plan
    assert [wave.modules for wave in made.waves[:1]] == [("P-0",)] and made.waves[1].percent == 50
    assert made.guards.not_while == {"pump": True, "mode": "night"} and made.guards.min_battery == 40
    assert made.window.days == (0, 6) and made.never_both == (("P-1", "P-2"),)
    assert (made.stop.count, made.on_stop, made.concurrency, made.wait_s) == (2, "pause", 10, 600)
    for word in ("22:00 to 05:00", "Mon, Sun", "P-1 + P-2", "40 %", "95 % confirmed"):
        assert word in page.text
    path = f"/rollouts/{rollout.id}"
    await browser.refused(path, f"{path}/pause", 400)
    for step, state in (("pause", "paused"), ("resume", "running"), ("cancel", "cancelled")):
        page = await browser.done(path, f"{path}/{step}", confirm="yes")
        assert house.firmware.rollouts.get(rollout.id).state == state
    data = {"csrf": browser.session.csrf, "confirm": "yes"}
    assert (await browser.http.post(f"{path}/pause", data=data)).status_code == 409
    await browser.page("/rollouts/77", 404)
    assert "pump-2 for Generic" in (await browser.page("/rollouts")).text


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"name": ""}, "name"), ({"who": "modules"}, "Choose the modules"),
        ({"percent": "many"}, "no number"),
        ({"stop_count": "0"}, "count"), ({"concurrency": "1.5"}, "no whole number"),
        ({"from": "22:00", "to": "22:00"}, "begins and ends"), ({"never_both": "P-1"}, "is no pair"),
        ({"from": "22:00", "to": "05:00", "day": []}, "at least one day"),
        ({"not_while": "pump"}, "is no condition"), ({"canary": ["NOBODY"]}, "NOBODY"),
        ({"who": "group", "group": "empty"}, "group"), ({"firmware": "77"}, "no firmware"),
    ],
)  # fmt: skip
async def test_a_plan_that_makes_no_sense_is_shown_again(house: House, typed, said: str) -> None:
    await house.image("pump-2")
    await house.module("P-1")
    browser = await house.browser("technician")
    reply = await browser.send("/rollouts/new", "/rollouts", **({"wait": "25"} | typed))
    assert reply.status_code in (400, 404)
    page = Page(reply.text)
    assert said in page.notice
    assert page.form("/rollouts").fields["wait"] == ["25"]
    assert not house.firmware.rollouts.all()


async def test_trouble_asks_for_a_person_on_the_dashboard(house: House) -> None:
    image, module = await house.image("pump-2"), await house.module("P-1", owner="user")
    await house.firmware.assignments.assign("P-1", image.id, await house.person("technician"))
    job = house.firmware.ledger.latest(module.number)
    house.firmware.ledger.step(job, "rolled_back", EVIL, error=EVIL)
    staff, user = await house.browser("technician"), await house.browser("user")
    for path in ("/", "/firmware", "/modules/P-1"):
        page = await staff.page(path)
        assert EVIL in page.text and "Rolled back" in page.text
        assert not [tag for tag, at in page.elements if tag == "img" and at.get("src") == "x"]
    assert "Needs you now" not in (await user.page("/")).text
    card = await staff.page("/modules/P-1")
    assert "Only an admin lets it be offered again." in card.text
    page = await staff.done("/modules/P-1", "/modules/P-1/firmware/unassign")
    assert "Nothing is assigned to P-1 any more." in page.notice
    assert "Needs you now" not in (await staff.page("/")).text


async def test_a_device_is_entered_with_the_firmware_it_should_get(house: House) -> None:
    image = await house.image("pump-2")
    browser = await house.browser("technician")
    filled = {"serial": "NEW-1", "type": "7", "image": str(image.id), "group": "yard", "name": EVIL}
    wrong = await browser.refused("/waiting", "/waiting/declare", 409, **(filled | {"type": "8"}))
    assert "pump-2" in wrong.notice and house.core.registry.known("NEW-1") is None
    assert wrong.form("/waiting/declare").fields["serial"] == ["NEW-1"]
    page = await browser.done("/waiting", "/waiting/declare", **filled)
    assert "NEW-1 may join and gets pump-2 then. Its shared key:" in page.notice
    module = house.core.registry.get("NEW-1")
    assert (module.group, module.assigned_firmware, module.life) == ("yard", "pump-2", "approved")
    for bad in ({"serial": "no spaces"}, {"serial": "NEW-1"}, {"serial": "NEW-2", "image": "77"}):
        reply = await browser.send("/waiting", "/waiting/declare", **(filled | bad))
        assert reply.status_code in (400, 404, 409)


async def test_every_firmware_page_is_labelled_and_has_no_id_twice(house: House) -> None:
    image = await house.image("pump-2", notes=EVIL)
    await house.image("pump-3", hardware=("esp8266",))
    for serial in ("P-1", "P-2"):
        await house.module(serial, hardware="esp32")
        await house.firmware.assignments.assign(serial, image.id, "test")
    admin = await house.browser("admin")
    await admin.done("/rollouts/new", "/rollouts")
    places = ("/firmware", "/firmware/1", "/firmware/2", "/rollouts", "/rollouts/new", "/rollouts/1")
    for place in (*places, "/modules/P-1"):
        page = await admin.page(place)
        labelled = {at["for"] for tag, at in page.elements if tag == "label" and "for" in at}
        for tag, at in page.elements:
            if tag in ("select", "textarea") or (
                tag == "input" and at.get("type") not in ("hidden", "checkbox", "radio")
            ):
                assert at.get("id") in labelled, (place, at)
            assert not [name for name in at if name == "style" or name.startswith("on")], (place, at)
        ids = [at["id"] for _, at in page.elements if "id" in at]
        assert len(ids) == len(set(ids)), (place, sorted(id for id in ids if ids.count(id) > 1))
        assert all(form.method == "get" or form.fields["csrf"][0] for form in page.forms), place
