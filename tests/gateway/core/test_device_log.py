"""What modules log: seen as it is, bounded, and kept."""

import pytest

from gateway.core.device_log import BURST, CUT_EVERY, RING, DeviceLog, LogWritten, visible
from gateway.core.errors import Invalid
from gateway.storage.models_timeline import LogRow
from tests.gateway.core.heart import ADMIN, approved, heard, open_heart, raises

pytestmark = pytest.mark.anyio


async def lines(core, module, **which):
    return [(line.level, line.text) for line in await core.device_log.page(module, **which)]


async def test_lines_are_kept_over_a_restart_and_filtered_by_level(tmp_path):
    async with open_heart(tmp_path) as core:
        module, _ = await approved(core)
        told = heard(core, LogWritten)
        for level, text in (("debug", b"d"), ("info", b"i"), ("warn", b"w"), ("error", b"e\r\n")):
            core.device_log.write(module, level, text)
        assert told[-1] == LogWritten("MC-1", "error", "e")
        async with raises(Invalid):
            core.device_log.write(module, "fatal", b"x")
    async with open_heart(tmp_path) as core:
        module = core.registry.get("MC-1")
        assert await lines(core, module) == [("error", "e"), ("warn", "w"), ("info", "i"), ("debug", "d")]
        assert await lines(core, module, level="warn") == [("error", "e"), ("warn", "w")]
        newest = await core.device_log.page(module, limit=1)
        assert await lines(core, module, before=newest[0].number, limit=1) == [("warn", "w")]


@pytest.mark.parametrize("raw, shown", [
    (b"\x1b[31mred\x1b[0m", "␛[31mred␛[0m"),
    (b"a\nb\tc\x00", "a␊b␉c␀"),
    ("left\u202eright".encode(), "left\\u{202e}right"),
    (b"\xff\xfe", "\\xff\\xfe"),
    (b"\x7f\xc2\x9b", "␡\\u{9b}"),
    ("<script>è🚀".encode(), "<script>è🚀"),
    (b"", ""),
])  # fmt: skip
async def test_what_would_not_be_seen_is_made_visible(tmp_path, raw, shown):
    async with open_heart(tmp_path) as core:
        module, _ = await approved(core)
        core.device_log.write(module, "info", raw)
        assert await lines(core, module) == [("info", shown)]


async def test_a_long_line_is_cut(tmp_path):
    async with open_heart(tmp_path) as core:
        module, _ = await approved(core)
        core.device_log.write(module, "info", b"x" * 100_000)
        ((_, text),) = await lines(core, module)
        assert len(text) == 500 and text.endswith("…")


async def test_the_ring_forgets_the_oldest_and_a_flood_is_cut_and_told(tmp_path, clock):
    async with open_heart(tmp_path) as core:
        module, _ = await approved(core)
        log = DeviceLog(core.store, core.hub, core.registry, clock.monotonic)
        for number in range(RING + 2 * CUT_EVERY):
            clock.pass_s(1)
            log.write(module, "info", str(number).encode())
        await core.store.run(lambda: None)
        assert await core.store.read(lambda: LogRow.select().count()) <= RING + CUT_EVERY
        assert (await lines(core, module, limit=1)) == [("info", str(RING + 2 * CUT_EVERY - 1))]
        clock.pass_s(3600)
        for _ in range(int(BURST) + 40):
            log.write(module, "error", b"again")
        assert log.left_out == 40
        clock.pass_s(1)
        log.write(module, "info", b"calm")
        assert await lines(core, module, limit=2) == [
            ("info", "calm"), ("warn", "(40 lines were left out: they came too fast.)"),
        ]  # fmt: skip


async def test_the_log_goes_with_its_module(tmp_path):
    async with open_heart(tmp_path) as core:
        module, _ = await approved(core)
        core.device_log.write(module, "info", b"x")
        await core.registry.delete("MC-1", ADMIN)
        assert await core.store.read(lambda: LogRow.select().count()) == 0


def test_visible_leaves_plain_text_alone():
    assert visible("Réglage 5 °C → 日本") == "Réglage 5 °C → 日本"
