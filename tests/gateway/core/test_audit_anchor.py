"""An audit trail whose end was cut off is noticed, at rest and while the gateway runs."""

import sqlite3
from contextlib import closing

import pytest

from gateway.core import audit
from gateway.core.audit_rows import Wanted
from tests.gateway.core.heart import ADMIN, application, open_heart

pytestmark = pytest.mark.anyio


async def fill(core, rows=10):
    for n in range(rows):
        await core.store.run(lambda n=n: audit.write("test.row", f"row {n}", "ann", n=n))


def attack(tmp_path, *statements):
    with closing(sqlite3.connect(tmp_path / "passerelle.db")) as other:
        for (trigger,) in other.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            other.execute(f"DROP TRIGGER {trigger}")
        for statement in statements:
            other.execute(statement)
        other.commit()


async def test_the_anchor_is_private_and_moves_with_the_trail(tmp_path):
    async with open_heart(tmp_path) as core:
        await fill(core)
        await core.audit.drop_anchor()
        first = (tmp_path / "audit.anchor").read_bytes()
        assert (await core.audit.verify()).anchored == 11
        await fill(core, 1)
    assert (tmp_path / "audit.anchor").read_bytes() != first
    assert (tmp_path / "audit.anchor").stat().st_mode & 0o077 == 0
    async with open_heart(tmp_path) as core:
        verdict = await core.audit.verify()
        assert (verdict.whole, verdict.anchored, verdict.rows) == (True, 12, 13)


@pytest.mark.parametrize("end", ["number > 5", "number = 11", "number > 0"])
async def test_a_trail_that_was_cut_off_ends_too_early(tmp_path, end):
    async with open_heart(tmp_path) as core:
        await fill(core)
    attack(tmp_path, f"DELETE FROM audit WHERE {end}")
    async with open_heart(tmp_path) as core:
        verdict = await core.audit.verify()
        assert (verdict.whole, verdict.fault, verdict.anchored) == (False, "cut", 11)
        await fill(core, 20)
        assert (await core.audit.verify()).fault == "cut"
    async with open_heart(tmp_path) as core:
        # New rows over the gap do not hide it, and a restart does not forget it.
        assert (await core.audit.verify()).fault == "cut"
        (row, *_) = await core.audit.rows(subject="audit")
        assert (row["action"], row["level"], row["details"]) == ("audit.fault", "error", {"fault": "cut"})
        await core.audit.accept("ann")
        assert (await core.audit.verify()).whole
    async with open_heart(tmp_path) as core:
        assert (await core.audit.verify()).whole


async def test_a_cut_is_noticed_while_the_gateway_runs(tmp_path):
    async with open_heart(tmp_path) as core:
        await fill(core)
        await core.audit.drop_anchor()
        attack(tmp_path, "DELETE FROM audit WHERE number > 8")
        assert (await core.audit.verify()).fault == "cut"
        await fill(core, 20)
        await core.audit.drop_anchor()
        assert (await core.audit.verify()).fault == "cut"


async def test_an_anchor_that_is_gone_or_not_ours_is_told(tmp_path):
    async with open_heart(tmp_path) as core:
        await fill(core)
    anchor = tmp_path / "audit.anchor"
    kept = anchor.read_bytes()
    anchor.unlink()
    async with open_heart(tmp_path) as core:
        assert (await core.audit.verify()).fault == "anchor_missing"
    assert not anchor.exists()
    for forged in (b"", b"x", kept.replace(b'"number":11', b'"number":10'), kept[:-5], b"\xff" * 4000):
        anchor.write_bytes(forged)
        async with open_heart(tmp_path) as core:
            assert (await core.audit.verify()).fault == "anchor_forged"
    anchor.write_bytes(kept)
    async with open_heart(tmp_path) as core:
        assert (await core.audit.verify()).whole


async def test_a_gateway_that_was_killed_is_not_accused(tmp_path):
    """Its anchor is behind; that rows came after it is no fault."""
    async with open_heart(tmp_path) as core:
        await fill(core)
        await core.audit.drop_anchor()
        behind = (tmp_path / "audit.anchor").read_bytes()
        await fill(core)
    (tmp_path / "audit.anchor").write_bytes(behind)
    async with open_heart(tmp_path) as core:
        assert (await core.audit.verify()).whole


async def test_rows_say_where_they_come_from_and_in_which_role(tmp_path):
    async with open_heart(tmp_path) as core:
        await core.enrolment.register(application(), "10.0.0.1")
        with audit.coming_from("192.0.2.7"):
            audit.known_as("ann", "admin")
            await core.decisions.approve(["MC-1"], ADMIN)
            core.registry.note("by.house", "MC-1", "gateway")
            core.registry.note("by.another", "MC-1", "tom")
        await core.registry.edit("MC-1", ADMIN, name="Mill")
        rows = {row["action"]: row for row in await core.audit.rows(subject="MC-1")}
        said = {action: (row["address"], row["role"]) for action, row in rows.items()}
        assert said["module.approve"] == ("192.0.2.7", "admin")
        assert said["by.house"] == ("", "") and said["by.another"] == ("192.0.2.7", "")
        assert said["module.edit"] == ("", "")
        assert (await core.audit.verify()).whole


async def test_rows_are_found_by_what_is_asked(tmp_path):
    async with open_heart(tmp_path) as core:
        await fill(core)
        await core.store.run(lambda: audit.write("other.row", "50% _x", "tom", level="warning", said="Éa"))
        (row,) = await core.audit.rows(wanted=Wanted(who="tom"))
        for wanted in ({"action": "other"}, {"subject": "50% _x"}, {"level": "warning"}, {"text": "0% _"}):
            assert await core.audit.rows(wanted=Wanted(**wanted)) == [row], wanted
        assert await core.audit.rows(wanted=Wanted(text="%")) == [row]
        assert await core.audit.rows(wanted=Wanted(from_ms=row["at_ms"] + 1)) == []
        assert len(await core.audit.rows(wanted=Wanted(to_ms=row["at_ms"] + 1))) == 12
        assert [r["number"] for r in await core.audit.rows_after(9, Wanted(), 2)] == [10, 11]
