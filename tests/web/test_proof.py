"""Where the gateway asks for proof, a device is approved with the code that it shows, and with no other."""

import asyncio
from hashlib import sha256

import pytest

from tests.web.house import House
from tests.web.reader import Page

pytestmark = pytest.mark.anyio


async def asking(house: House) -> None:
    await house.core.choices.set({"modules.proof": True}, await house.person("admin"))


async def newcomer(house: House, serial: str, address: str = "198.51.100.7") -> str:
    """Registers as devices do; returns the code that such a device shows."""
    reply = await house.anybody(address).http.post("/modules/register", json={"type": 7, "serial": serial})
    assert reply.status_code == 200
    return sha256(reply.json()["token"].encode()).hexdigest()[:8]


@pytest.mark.parametrize("typed", ["{}", " {} ", "{0[0]}{0[1]}-{1}"])
async def test_the_code_that_the_device_shows_lets_it_in(house: House, typed: str) -> None:
    await asking(house)
    code = await newcomer(house, "A-1")
    browser = await house.browser("technician")
    page = await browser.page("/waiting")
    assert "first 8 of the SHA-256 of its token" in page.text
    given = typed.format(code.upper()) if "0" not in typed else f"{code[:4]}-{code[4:]}"
    page = await browser.done("/waiting", "/waiting/decide", id=["A-1"], decision="approve", code=given)
    assert "Approved A-1." in page.notice


async def test_five_wrong_codes_lock_it_until_it_registers_anew(house: House) -> None:
    await asking(house)
    code = await newcomer(house, "A-1")
    browser = await house.browser("technician")
    wrong = {"id": ["A-1"], "decision": "approve", "code": "00000000" if code != "0" * 8 else "1" * 8}
    for left in (4, 3, 2, 1, 0):
        page = await browser.refused("/waiting", "/waiting/decide", 400, **wrong)
        assert page.notice == f"This is not the code that A-1 shows. Tries left: {left}."
    for _ in range(2):
        page = await browser.refused("/waiting", "/waiting/decide", 409, **{**wrong, "code": code})
        assert "A-1 is locked after 5 wrong codes" in page.notice
    assert house.core.registry.get("A-1").life == "pending"
    fresh = await newcomer(house, "A-1")
    assert fresh != code
    page = await browser.done("/waiting", "/waiting/decide", id=["A-1"], decision="approve", code=fresh)
    assert "Approved A-1." in page.notice


async def test_an_admin_unlocks_and_nobody_else(house: House) -> None:
    await asking(house)
    code = await newcomer(house, "A-1")
    technician, admin = await house.browser("technician"), await house.browser("admin")
    for _ in range(5):
        await technician.send("/waiting", "/waiting/decide", id=["A-1"], decision="approve", code="x")
    assert "Unlock chosen" not in (await technician.page("/waiting")).text
    await technician.refused("/waiting", "/waiting/decide", 403, id=["A-1"], decision="unlock")
    page = await admin.done("/waiting", "/waiting/decide", id=["A-1"], decision="unlock")
    assert page.notice == "Unlocked A-1."
    rows = await house.core.audit.rows(subject="A-1")
    actions = [row["action"] for row in rows]
    assert actions[0] == "module.unlock" and actions.count("module.wrong_code") == 5
    assert code not in str(rows) and "x" not in [row["details"].get("code") for row in rows]
    page = await technician.done("/waiting", "/waiting/decide", id=["A-1"], decision="approve", code=code)
    assert "Approved A-1." in page.notice


async def test_several_at_once_are_refused_with_a_sentence_and_rejecting_is_not(house: House) -> None:
    await asking(house)
    for serial in ("A-1", "A-2", "A-3"):
        await newcomer(house, serial)
    browser = await house.browser("technician")
    chosen = {"id": ["A-1", "A-2"], "decision": "approve", "code": "12345678"}
    page = await browser.refused("/waiting", "/waiting/decide", 409, **chosen)
    assert "one after another" in page.notice
    page = await browser.refused("/waiting", "/waiting/decide", 400, id=["A-1"], decision="approve")
    assert page.notice == "Type the 8 characters that A-1 shows."
    page = await browser.done("/waiting", "/waiting/decide", id=["A-1", "A-2"], decision="reject")
    assert "Rejected A-1, A-2." in page.notice
    lives = {module.id: module.life for module in house.core.registry.all()}
    assert lives == {"A-1": "rejected", "A-2": "rejected", "A-3": "pending"}


async def test_a_re_enrolment_needs_the_code_of_the_new_token(house: House) -> None:
    await house.module("A-1")
    await asking(house)
    code = await newcomer(house, "A-1", "203.0.113.4")
    (claim,) = house.core.registry.claims()
    browser = await house.browser("technician")
    action = f"/waiting/claims/{claim.number}"
    page = await browser.refused("/waiting", action, 400, decision="approve", code="nonsense")
    assert "not the code" in page.notice
    assert [c.number for c in house.core.registry.claims()] == [claim.number]
    assert (
        "has its place back" in (await browser.done("/waiting", action, decision="approve", code=code)).notice
    )


async def test_programs_say_the_code_too(house: House) -> None:
    await asking(house)
    code = await newcomer(house, "A-1")
    program = await house.program("technician")
    await program.call("POST", "/modules/A-1/approve", 400, json={})
    await program.call("POST", "/modules/A-1/approve", 400, json={"code": "00"})
    assert (await program.call("POST", "/modules/A-1/approve", 200, json={"code": code}))["id"] == "A-1"


async def test_without_the_choice_nobody_is_asked_for_a_code(house: House) -> None:
    await newcomer(house, "A-1")
    browser = await house.browser("technician")
    page = await browser.page("/waiting")
    assert "code" not in page.form("/waiting/decide").fields
    assert (
        "Approved"
        in (await browser.done("/waiting", "/waiting/decide", id=["A-1"], decision="approve")).notice
    )


async def test_of_two_browsers_at_once_one_wins_and_the_other_sees_who_and_when(house: House) -> None:
    await newcomer(house, "A-1")
    await house.module("B-1")
    await newcomer(house, "B-1", "203.0.113.9")
    (claim,) = house.core.registry.claims()
    first, second = await house.browser("technician_one"), await house.browser("technician_two")
    for action, life in (("/waiting/decide", "approved"), (f"/waiting/claims/{claim.number}", "rejected")):
        decision = "approve" if life == "approved" else "reject"
        forms = [(await caller.page("/waiting")).form(action) for caller in (first, second)]
        sent = [
            caller.http.post(action, data=form.filled(id=["A-1"], decision=decision))
            for caller, form in zip((first, second), forms, strict=True)
        ]
        replies = await asyncio.gather(*sent)
        assert sorted(reply.status_code for reply in replies) == [303, 409]
        (lost,) = [reply for reply in replies if reply.status_code == 409]
        winner = "technician_one" if replies.index(lost) else "technician_two"
        assert f"was {life} by {winner} at " in Page(lost.text).notice
        assert Page(lost.text).notice.endswith("UTC.")
