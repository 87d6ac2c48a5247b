"""Who may come in over MQTT and what may pass: credentials to principals, topics to rights."""

from bridge.mqtt.link import Refusal
from bridge.topics import NONCE, Topics, is_for_gateway
from gateway.core import rights
from gateway.core.access.services import Services
from gateway.core.registry import Registry
from gateway.core.rights import Action, Enrolling, ModuleIdentity, Principal, Service


class Admission:
    """The gatekeeper of the embedded broker; every answer comes from memory."""

    def __init__(self, topics: Topics, registry: Registry, services: Services) -> None:
        self._topics = topics
        self._registry = registry
        self._services = services

    def admit(
        self, client_id: str, username: str | None, password: bytes | None, address: str
    ) -> Principal | Refusal:
        if username is None:
            return Enrolling(client_id) if NONCE.match(client_id) else Refusal.NOT_AUTHORIZED
        token = _text(password)
        # Both are asked whatever the first says, so that the time tells nothing.
        module = self._registry.authenticate(username, token)
        service = self._services.authenticate(username, token)
        if module is not None:
            return module if client_id == module.id else Refusal.IDENTIFIER
        return service or Refusal.CREDENTIALS

    def identify(self, principal: Principal) -> Principal | None:
        match principal:
            case ModuleIdentity():
                return self._registry.identity_now(principal)
            case Service():
                return self._services.identity_now(principal)
            case _:
                return principal

    def allows(self, principal: Principal, action: Action, topic: str) -> bool:
        path = self._topics.path(topic)
        return path is not None and rights.allows(principal, action, path)

    def for_gateway(self, topic: str) -> bool:
        path = self._topics.path(topic)
        return path is not None and is_for_gateway(path)


def _text(password: bytes | None) -> str | None:
    try:
        return password.decode() if password else None
    except UnicodeDecodeError:
        return None
