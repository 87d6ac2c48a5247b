"""Tokens that speak for a person: never more than the person is, and dead when they should be."""

import pytest

from gateway.core.access.personal_tokens import MAX_TOKENS, PREFIX
from gateway.core.errors import Conflict, Forbidden, Invalid, NotFound
from gateway.core.rights import Person, Role
from tests.gateway.core.heart import PASSWORD, Clock, open_heart

pytestmark = pytest.mark.anyio


async def people(core):
    ann = await core.accounts.set_up(core.accounts.setup_secret, "ann", PASSWORD)
    tom = (await core.accounts.people.add("tom", PASSWORD, Role.TECHNICIAN, "ann")).person
    return ann, tom


async def test_a_token_speaks_for_its_person_with_no_more_than_it_was_given(tmp_path):
    async with open_heart(tmp_path) as core:
        ann, tom = await people(core)
        tokens = core.accounts.tokens
        with pytest.raises(Forbidden, match="technician"):
            await tokens.add(tom, "x", "act", Role.ADMIN)
        _, full = await tokens.add(tom, "full", "act")
        _, less = await tokens.add(ann, "less", "act", Role.USER)
        _, reader = await tokens.add(ann, "reader", "read")
        assert full.startswith(PREFIX)
    async with open_heart(tmp_path) as core:
        tokens = core.accounts.tokens
        assert tokens.verify(full)[1] == tom
        assert tokens.verify(less)[1] == Person(ann.id, "ann", Role.USER)
        assert tokens.verify(reader)[1] == Person(ann.id, "ann", Role.ADMIN, acts=False)
        for wrong in ("", PREFIX, full[:-1], full[len(PREFIX) :], full + "x", "\ud800"):
            assert tokens.verify(wrong) is None
        await core.accounts.people.edit(tom.id, ann, role=Role.USER)
        assert tokens.verify(full)[1].role is Role.USER, "no more than the person is by now"
        await core.accounts.people.edit(tom.id, ann, active=False)
        assert tokens.verify(full) is None
    stored = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    assert not any(secret.encode() in stored for secret in (full, less, reader))


async def test_a_token_ends_by_time_or_when_it_is_revoked(tmp_path, monkeypatch):
    clock = Clock(monkeypatch)
    async with open_heart(tmp_path) as core:
        ann, tom = await people(core)
        tokens = core.accounts.tokens
        _, short = await tokens.add(tom, "short", "read", days=1)
        made, endless = await tokens.add(tom, "endless", "read")
        clock.pass_s(86401)
        assert tokens.verify(short) is None and tokens.verify(endless)
        stranger = (await core.accounts.people.add("sam", PASSWORD, Role.TECHNICIAN, "ann")).person
        with pytest.raises(NotFound):
            await tokens.revoke(made.id, stranger)
        with pytest.raises(Forbidden):
            await tokens.revoke_all(tom.id, stranger)
        await tokens.revoke(made.id, ann)
        assert tokens.verify(endless) is None
        with pytest.raises(NotFound):
            await tokens.revoke(made.id, tom)
        actions = [(row["action"], row["who"]) for row in await core.audit.rows(limit=2)]
        assert actions == [("token.revoke", "ann"), ("user.add", "ann")]
    async with open_heart(tmp_path) as core:
        assert core.accounts.tokens.verify(endless) is None


async def test_its_last_use_is_known_to_the_minute(tmp_path, monkeypatch):
    clock = Clock(monkeypatch)
    async with open_heart(tmp_path) as core:
        _, tom = await people(core)
        _, secret = await core.accounts.tokens.add(tom, "mine", "read")
        assert core.accounts.tokens.of(tom.id)[0].used_at_ms is None
        first_ms = clock.ms
        core.accounts.tokens.verify(secret)
        clock.pass_s(59)
        core.accounts.tokens.verify(secret)
        assert core.accounts.tokens.of(tom.id)[0].used_at_ms == first_ms
    async with open_heart(tmp_path) as core:
        assert core.accounts.tokens.of(tom.id)[0].used_at_ms == first_ms


@pytest.mark.parametrize(
    ("name", "days"), [("", 1), (" ", 1), ("x" * 65, 1), ("a\x00b", 1), ("ok", 0), ("ok", 3651)]
)
async def test_what_does_not_fit_is_refused(tmp_path, name, days):
    async with open_heart(tmp_path) as core:
        _, tom = await people(core)
        with pytest.raises(Invalid):
            await core.accounts.tokens.add(tom, name, "read", days=days)


async def test_names_are_told_apart_and_there_are_not_too_many(tmp_path):
    async with open_heart(tmp_path) as core:
        ann, tom = await people(core)
        tokens = core.accounts.tokens
        await tokens.add(tom, " my  script ", "read")
        with pytest.raises(Conflict):
            await tokens.add(tom, "my script", "act")
        await tokens.add(ann, "my script", "read")
        for number in range(MAX_TOKENS - 1):
            await tokens.add(tom, f"{number}", "read")
        with pytest.raises(Conflict, match="revoke one"):
            await tokens.add(tom, "one more", "read")


async def test_logging_out_everywhere_leaves_tokens_unless_asked(tmp_path):
    async with open_heart(tmp_path) as core:
        ann, tom = await people(core)
        _, secret = await core.accounts.tokens.add(tom, "mine", "read")
        await core.accounts.sessions.open(tom, "browser", "x")
        with pytest.raises(Forbidden):
            await core.accounts.log_out_everywhere(ann.id, tom)
        assert await core.accounts.log_out_everywhere(tom.id, tom) == 1
        assert core.accounts.tokens.verify(secret)
        assert await core.accounts.log_out_everywhere(tom.id, ann, tokens_too=True) == 0
        assert core.accounts.tokens.verify(secret) is None
