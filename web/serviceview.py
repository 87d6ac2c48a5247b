"""Service accounts as pages and REST show them: with their rights in words, and how to connect."""

from dataclasses import dataclass

from gateway.core.access.services import ServiceAccount
from gateway.core.core import Core
from gateway.core.rights import ServiceRole
from web.language import gettext, later
from web.rightswords import Right, TopicOf, example, rights_of_role

_ROLES = {ServiceRole.READER: later("reads"), ServiceRole.CONTROLLER: later("reads and controls")}
# Of any module: where its state is published, and where a command for it goes.
STATE, COMMAND = ("+", "out", "state"), ("+", "ask", "+")


@dataclass(frozen=True, slots=True)
class ServiceView:
    account: ServiceAccount
    role: str
    rights: list[Right]
    state_topic: str
    command_topic: str


def service_views(core: Core, topic: TopicOf) -> list[ServiceView]:
    return [service_view(account, topic) for account in core.services.all()]


def service_view(account: ServiceAccount, topic: TopicOf) -> ServiceView:
    controls = account.role is ServiceRole.CONTROLLER
    return ServiceView(
        account,
        gettext(_ROLES[account.role]),
        rights_of_role(account.role, topic),
        example(STATE, topic),
        example(COMMAND, topic) if controls else "",
    )
