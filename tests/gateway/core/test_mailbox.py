"""Pending responses: they outlive everything but their processing and their recipient."""

import asyncio

import pytest

from gateway.core import mailbox
from gateway.core.errors import Full, Invalid, NotFound, Unavailable
from gateway.core.mailbox import Party
from tests.gateway.core.heart import ADMIN, approved, open_heart, raises

pytestmark = pytest.mark.anyio


async def two_parties(core):
    module, _ = await approved(core)
    program, _ = await core.clients.register({"name": "p"}, "10.0.0.9")
    return Party("module", module.number), Party("client", program.id)


def values(core, party):
    return [letter.value for letter in core.mailbox.of(party)]


async def test_letters_survive_restarts_in_order_and_leave_only_by_processing(tmp_path):
    async with open_heart(tmp_path) as core:
        module, program = await two_parties(core)
        for index in range(3):
            await core.mailbox.put(program, module, {"n": index, "text": "ünï"})
        await core.mailbox.put(module, program, [1, None])
    for expected in ([0, 1, 2], [0, 2], [2], []):
        async with open_heart(tmp_path) as core:
            letters = core.mailbox.of(program)
            assert [letter.value["n"] for letter in letters] == expected
            assert values(core, module) == [[1, None]]
            assert all(letter.sender == module for letter in letters)
            if letters:
                await core.mailbox.process(program, letters[1 if len(letters) == 3 else 0].id)


async def test_only_the_recipient_processes_and_only_once(tmp_path):
    async with open_heart(tmp_path) as core:
        module, program = await two_parties(core)
        other, _ = await core.clients.register({}, "10.0.0.9")
        letter = await core.mailbox.put(program, module, "x")
        for party in (module, Party("client", other.id), Party("client", 99)):
            async with raises(NotFound):
                await core.mailbox.process(party, letter.id)
        tries = [core.mailbox.process(program, letter.id) for _ in range(2)]
        done = await asyncio.gather(*tries, return_exceptions=True)
        assert done[0] is None and isinstance(done[1], NotFound)
        assert core.mailbox.of(program) == []


async def test_a_module_and_a_client_of_the_same_number_have_boxes_of_their_own(tmp_path):
    async with open_heart(tmp_path) as core:
        module, program = await two_parties(core)
        assert module.number == program.number
        await core.mailbox.put(module, program, "for the module")
        assert values(core, program) == [] and values(core, module) == ["for the module"]


@pytest.mark.parametrize("bound", ["MOST_LETTERS", "MOST_BYTES", "MOST_BYTES_OF_ALL"])
async def test_boxes_are_bounded_also_when_many_write_at_once(tmp_path, monkeypatch, bound):
    monkeypatch.setattr(mailbox, bound, {"MOST_LETTERS": 3}.get(bound, 3 * 102))
    async with open_heart(tmp_path) as core:
        module, program = await two_parties(core)
        tries = [core.mailbox.put(program, module, "x" * 100) for _ in range(5)]
        done = await asyncio.gather(*tries, return_exceptions=True)
        assert sum(isinstance(one, Full) for one in done) == 2 and core.mailbox.refused == 2
        await core.mailbox.process(program, core.mailbox.of(program)[0].id)
        await core.mailbox.put(program, module, "x" * 100)
        assert len(core.mailbox.of(program)) == 3
        async with raises(Invalid):
            await core.mailbox.put(program, module, "x" * mailbox.MOST_CONTENT)
    async with open_heart(tmp_path) as core:
        async with raises(Full):
            await core.mailbox.put(program, module, "x" * 100)


@pytest.mark.parametrize("way", ["module", "client"])
async def test_letters_go_with_their_recipient_but_not_with_their_sender(tmp_path, way):
    async with open_heart(tmp_path) as core:
        module, program = await two_parties(core)
        await core.mailbox.put(program, module, "to the program")
        await core.mailbox.put(module, program, "to the module")

        async def remove():
            if way == "module":
                await core.registry.delete("MC-1", ADMIN)
            else:
                await core.clients.remove(program.number, ADMIN)

        gone, left = (module, program) if way == "module" else (program, module)
        removal, late = await asyncio.gather(
            remove(), core.mailbox.put(gone, left, "late"), return_exceptions=True
        )
        assert removal is None and isinstance(late, NotFound)
        assert values(core, gone) == [] and len(values(core, left)) == 1
    async with open_heart(tmp_path) as core:
        assert values(core, gone) == [] and len(values(core, left)) == 1


async def test_what_could_not_be_stored_was_not_done(tmp_path, monkeypatch):
    async with open_heart(tmp_path) as core:
        module, program = await two_parties(core)
        letters = [await core.mailbox.put(program, module, n) for n in range(3)]

        async def full_disk(work):
            raise Unavailable("Storage cannot take this now.")

        with monkeypatch.context() as patched:
            patched.setattr(core.store, "run", full_disk)
            async with raises(Unavailable):
                await core.mailbox.put(program, module, "lost")
            async with raises(Unavailable):
                await core.mailbox.process(program, letters[1].id)
        assert values(core, program) == [0, 1, 2]
        await core.mailbox.process(program, letters[1].id)
        assert values(core, program) == [0, 2]


@pytest.mark.parametrize("bound", ["MOST_OF_SENDER", "MOST_BYTES_OF_SENDER"])
async def test_one_sender_does_not_fill_what_is_for_all(tmp_path, monkeypatch, bound):
    """His letters count at all recipients together, also after a restart, until they are processed."""
    monkeypatch.setattr(mailbox, bound, {"MOST_OF_SENDER": 4}.get(bound, 4 * 102))
    async with open_heart(tmp_path) as core:
        module, program = await two_parties(core)
        other = Party("client", (await core.clients.register({}, "10.0.0.9"))[0].id)
        tries = [core.mailbox.put(to, module, "x" * 100) for to in (program, other) for _ in range(3)]
        done = await asyncio.gather(*tries, return_exceptions=True)
        refused = [one for one in done if isinstance(one, Full)]
        assert len(refused) == core.mailbox.refused == 2
        assert refused[0].message == "4 responses of yours wait already; others have to process some."
        # Others write on.
        await core.mailbox.put(other, program, "x" * 100)
    async with open_heart(tmp_path) as core:
        async with raises(Full):
            await core.mailbox.put(program, module, "x" * 100)
        await core.mailbox.process(program, core.mailbox.of(program)[0].id)
        await core.mailbox.put(other, module, "x" * 100)
        async with raises(Full):
            await core.mailbox.put(program, module, "x" * 100)
        # What goes with its recipient counts no more.
        await core.clients.remove(other.number, ADMIN)
        await core.mailbox.put(program, module, "x" * 100)
