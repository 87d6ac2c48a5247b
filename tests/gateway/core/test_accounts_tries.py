"""Never too many tries, and never so that a stranger keeps the owner out; keys of access tokens."""

from datetime import UTC, datetime

import anyio
import jwt
import pytest

from gateway.core.access.accounts import Caller
from gateway.core.access.people import MAX_HASHES_WAITING
from gateway.core.access.sessions import MAX_PER_PERSON
from gateway.core.addresses import neighbourhood
from gateway.core.errors import Forbidden, NotFound, TooMany, Unauthenticated, Unavailable
from gateway.core.rights import Role
from tests.gateway.core.heart import ADMIN, OWNER, PASSWORD, Clock, open_heart

pytestmark = pytest.mark.anyio
STRANGER = "6.6.6.6"


async def ann(core):
    return await core.accounts.set_up(core.accounts.setup_secret, "ann", PASSWORD)


def stop_the_clock(core):
    for throttle in (core.accounts._tries, core.accounts._tries_of_address, core.accounts._codes):
        throttle._clock = lambda: 1000.0


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff:ffff:ffff:ffff", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("testclient", "testclient"),
        ("", ""),
    ],
)
def test_a_household_of_ipv6_is_one_place(address, place):
    assert neighbourhood(address) == place


async def fail(core, username, address, mark=""):
    with pytest.raises(Unauthenticated):
        await core.accounts.prove(username, "wrong password", address, mark)


async def test_many_addresses_of_one_network_have_the_tries_of_one(tmp_path):
    async with open_heart(tmp_path) as core:
        await ann(core)
        stop_the_clock(core)
        for number in range(10):
            await fail(core, "ann", f"2001:db8:1:2::{number:x}")
        with pytest.raises(TooMany):
            await core.accounts.prove("ann", PASSWORD, "2001:db8:1:2:3:4:5:6")
        assert await core.accounts.prove("ann", PASSWORD, "2001:db8:1:3::1")


async def test_one_address_cannot_try_many_accounts(tmp_path):
    async with open_heart(tmp_path) as core:
        await ann(core)
        stop_the_clock(core)
        for number in range(30):
            await fail(core, f"user{number}", STRANGER)
        with pytest.raises(TooMany):
            await core.accounts.prove("user31", PASSWORD, STRANGER)
        assert await core.accounts.prove("ann", PASSWORD, "10.0.0.1")


async def test_a_stranger_behind_the_same_address_does_not_keep_a_known_browser_out(tmp_path):
    async with open_heart(tmp_path) as core:
        person = await ann(core)
        stop_the_clock(core)
        mark, shared = core.accounts.known.mark(person.id), "10.0.0.1"
        for number in range(30):
            await fail(core, "ann" if number < 10 else f"user{number}", shared)
        with pytest.raises(TooMany):
            await core.accounts.prove("ann", PASSWORD, shared)
        assert await core.accounts.prove("ann", PASSWORD, shared, mark)
        # A mark is for its own account, and has tries of its own, which end as well.
        forged = (mark[:-1] + ("0" if mark[-1] != "0" else "1"), f"{person.id}..", "é.é.é", "x" * 5000)
        for wrong in (*forged, core.accounts.known.mark(77)):
            with pytest.raises(TooMany):
                await core.accounts.prove("ann", PASSWORD, shared, wrong)
        for _ in range(10):
            await fail(core, "ann", shared, mark)
        with pytest.raises(TooMany):
            await core.accounts.prove("ann", PASSWORD, shared, mark)
        assert await core.accounts.prove("ann", PASSWORD, "10.0.0.2")


async def test_an_unknown_name_costs_as_much_as_a_wrong_password(tmp_path):
    class Counting:
        def __init__(self, hasher):
            self.hasher, self.checked = hasher, []

        def verify(self, password, hashed):
            self.checked.append(hashed)
            return self.hasher.verify(password, hashed)

    async with open_heart(tmp_path) as core:
        await ann(core)
        await core.accounts.people.add("locked", PASSWORD, Role.USER, "ann")
        await core.accounts.people.edit(core.accounts.people.named("locked").id, ADMIN, active=False)
        counting = core.accounts.people._hasher = Counting(core.accounts.people._hasher)
        for name in ("ann", "locked", "nobody", "", "x" * 300):
            await fail(core, name, STRANGER)
        parameters = {hashed.rsplit("$", 2)[0] for hashed in counting.checked}
        assert len(counting.checked) == 5 and len(parameters) == 1


async def test_a_flood_of_passwords_does_not_pile_up(tmp_path):
    outcomes = []

    async def attempt(core, number):
        try:
            await core.accounts.prove("ann", "wrong password", f"10.1.{number}.1")
        except (Unauthenticated, Unavailable) as error:
            outcomes.append(type(error))

    async with open_heart(tmp_path) as core:
        await ann(core)
        async with anyio.create_task_group() as group:
            for number in range(MAX_HASHES_WAITING + 20):
                group.start_soon(attempt, core, number)
        assert outcomes.count(Unavailable) >= 1
        assert outcomes.count(Unauthenticated) >= MAX_HASHES_WAITING
        assert await core.accounts.prove("ann", PASSWORD, "10.0.0.1")


# Keys of access tokens


async def test_a_new_key_signs_and_the_old_one_lives_as_long_as_its_tokens(tmp_path, monkeypatch):
    clock = Clock(monkeypatch)
    monkeypatch.setattr("jwt.api_jwt.datetime", datetime_of(clock))
    async with open_heart(tmp_path) as core:
        person = await ann(core)
        sessions = core.accounts.sessions
        first = (await sessions.issue(person, "x")).access_token
        with pytest.raises(Forbidden):
            await sessions.keys.rotate(OWNER)
        before = sessions.keys.kid
        after = await sessions.keys.rotate(person)
        second = await sessions.issue(person, "x")
        assert [jwt.get_unverified_header(t)["kid"] for t in (first, second.access_token)] == [before, after]
        assert sessions.verify(first) and sessions.verify(second.access_token)
    async with open_heart(tmp_path) as core:
        sessions = core.accounts.sessions
        assert sessions.keys.kid == after and sessions.verify(first)
        clock.pass_s(601)
        third = await sessions.refresh(second.refresh_token)
        assert sessions.verify(third.access_token)
        # Whoever stole the first key signs for a time to come: it is not believed any more.
        key = sessions.keys._key(1)
        claims = jwt.decode(third.access_token, options={"verify_signature": False})
        assert sessions.verify(jwt.encode(claims, key, "HS256", headers={"kid": before})) is None
        assert sessions.verify(jwt.encode(claims, key, "HS256", headers={"kid": after})) is None
        rows = [row for row in await core.audit.rows() if row["action"] == "access_key.rotate"]
        assert [row["who"] for row in rows] == ["ann"] and rows[0]["details"] == {"kid": after}


def datetime_of(clock):
    class Moved(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.fromtimestamp(clock.ms / 1000, tz or UTC)

    return Moved


# Sessions


async def test_sessions_are_listed_with_what_they_are_and_ended_one_by_one(tmp_path, monkeypatch):
    clock = Clock(monkeypatch)
    async with open_heart(tmp_path) as core:
        person = await ann(core)
        sessions = core.accounts.sessions
        user = core.accounts.people.get(person.id)
        here, cookie = await core.accounts.finish(user, Caller("10.0.0.1", "Firefox"))
        clock.pass_s(5)
        await core.accounts.issue_tokens("ann", PASSWORD, "10.0.0.2", agent="curl/8" * 100)
        clock.pass_s(120)
        assert sessions.find(cookie)
        listed = sessions.living(person.id)
        assert [(s.kind, s.address, s.agent[:7]) for s in listed] == [
            ("browser", "10.0.0.1", "Firefox"), ("api", "10.0.0.2", "curl/8c"),
        ]  # fmt: skip
        assert len(listed[1].agent) == 300
        assert sessions.seen_ms(here) - here.created_at_ms == 125_000
        bob = (await core.accounts.people.add("bob", PASSWORD, Role.ADMIN, "ann")).person
        with pytest.raises(NotFound):
            await sessions.close_one(bob.id, here.id, bob)
    async with open_heart(tmp_path) as core:
        sessions = core.accounts.sessions
        assert sessions.seen_ms(here) - here.created_at_ms == 125_000
        await sessions.close_one(person.id, here.id, person)
        assert sessions.find(cookie) is None and len(sessions.living(person.id)) == 1
        clock.pass_s(31 * 86400)
        assert sessions.living(person.id) == []


async def test_who_never_logs_out_loses_the_least_recent_session(tmp_path):
    async with open_heart(tmp_path) as core:
        person = await ann(core)
        sessions = core.accounts.sessions
        cookies = [(await sessions.open(person, "browser", "x"))[1] for _ in range(MAX_PER_PERSON + 1)]
        assert len(sessions.of(person.id)) == MAX_PER_PERSON
        assert sessions.find(cookies[0]) is None and sessions.find(cookies[1])
