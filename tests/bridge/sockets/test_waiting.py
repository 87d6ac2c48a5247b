"""Several wait for one module: who is let in is the one whose token the module has from then on."""

import pytest

from bridge.sockets.live import LiveModules
from gateway.core.rights import ModuleIdentity
from tests.bridge.house import open_house, until
from tests.gateway.core.heart import TECHNICIAN, application, approved

pytestmark = pytest.mark.anyio


class Guest:
    """One who waits, on no transport at all."""

    def __init__(self, live, identity):
        self.name, self.word = f"guest {id(self)}", None
        live.wait(identity, self)

    def approved(self, identity):
        self.word = identity

    def refused(self):
        self.word = "refused"


def newcomers(core, live, tokens):
    return [Guest(live, core.registry.by_token(token)) for token in tokens]


@pytest.fixture
async def house(tmp_path):
    async with open_house(tmp_path) as house:
        yield house


@pytest.fixture
def live(house):
    return LiveModules(house.core)


async def test_a_newcomer_does_not_come_in_with_the_approval_of_another(house, live):
    """He registered the serial first; the real device came later, and was chosen."""
    core = house.core
    first = await core.enrolment.register(application("X"), "10.6.6.6")
    second = await core.enrolment.register(application("X"), "10.0.0.1")
    thief, owner = newcomers(core, live, [first.token, second.token])
    (claim,) = core.registry.claims()
    await core.decisions.approve_claim(claim.number, TECHNICIAN)
    await until(lambda: thief.word and owner.word)
    assert thief.word == "refused" and owner.word == ModuleIdentity("X", True)
    assert core.registry.by_token(first.token) is None


async def test_of_two_re_enrolments_from_one_address_the_last_token_counts(house, live):
    core = house.core
    await approved(core, "X")
    first = await core.enrolment.register(application("X"), "10.6.6.6")
    early = Guest(live, core.registry.by_token(first.token))
    second = await core.enrolment.register(application("X"), "10.6.6.6")
    late = Guest(live, core.registry.by_token(second.token))
    (claim,) = core.registry.claims()
    await core.decisions.approve_claim(claim.number, TECHNICIAN)
    assert early.word == "refused" and late.word == ModuleIdentity("X", True)


async def test_the_newcomer_comes_in_and_the_claimant_goes_on_waiting(house, live):
    core = house.core
    first = await core.enrolment.register(application("X"), "10.0.0.1")
    second = await core.enrolment.register(application("X"), "10.6.6.6")
    owner, other = newcomers(core, live, [first.token, second.token])
    await core.decisions.approve(["X"], TECHNICIAN)
    assert owner.word == ModuleIdentity("X", True) and other.word is None
    await core.decisions.reject_claim(core.registry.by_token(second.token).claim, TECHNICIAN)
    assert other.word == "refused"
