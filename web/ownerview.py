"""Whose a module is and how it can be claimed, as pages show it."""

from dataclasses import dataclass
from urllib.parse import urlencode

from gateway.core.ownership import spaced
from gateway.core.values import Module
from web.language import gettext as _
from web.qr import QrCode, qr_code
from web.visit import Visit


@dataclass(frozen=True, slots=True)
class ClaimView:
    """A claim code, and the link that fills it in."""

    code: str
    url: str

    @property
    def qr(self) -> QrCode:
        return qr_code(self.url)


@dataclass(frozen=True, slots=True)
class OwnerView:
    """`name` is empty for nobody; `others` are those it could be given to, by number and name."""

    name: str
    mine: bool
    claim: ClaimView | None
    others: tuple[tuple[str, str], ...]


def claim_url(visit: Visit, code: str) -> str:
    return f"{visit.base_url}/claim?{urlencode({'code': code})}"


def claim_view(visit: Visit, module: Module) -> ClaimView | None:
    """For those who manage; None when the module cannot be claimed."""
    if not claimable(visit, module):
        return None
    code = visit.site.core.ownership.code_of(module.id, visit.person)
    return ClaimView(spaced(code), claim_url(visit, code))


def claimable(visit: Visit, module: Module) -> bool:
    """Whether it waits for an owner, and the visitor may know its code."""
    return visit.manages and module.life == "approved" and module.owner_id is None


def owner_view(visit: Visit, module: Module) -> OwnerView:
    users = visit.site.core.accounts.people.all() if visit.manages else []
    names = {user.id: user.username for user in users}
    owner_id = module.owner_id
    others = tuple((str(id), name) for id, name in names.items() if id != owner_id)
    mine = owner_id == visit.person.id
    known = visit.person.name if mine else names.get(owner_id or 0, "")
    name = "" if owner_id is None else known or _("user %(number)s", number=owner_id)
    return OwnerView(name, mine, claim_view(visit, module), others)
