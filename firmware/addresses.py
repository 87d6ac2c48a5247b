"""Which address of this gateway a module is told to fetch its image from."""

import asyncio
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_address
from urllib.parse import urlsplit

import msgspec

from firmware.surroundings import POOLS, AnyAddress, Surroundings, local_address, resolved, surroundings
from gateway.core.events import Hub, ModuleRemoved, SessionOpened
from gateway.core.values import Module
from gateway.settings import Settings

_SET = "Set PASSERELLE_PUBLIC_URL to an address that devices can reach."
_LOCAL_NAMES = ("localhost", "localhost.localdomain", "host.docker.internal")


@dataclass(frozen=True, slots=True)
class Address:
    """`url` has no slash at its end; empty when none is fit, and then `problem` says what to do."""

    url: str
    problem: str = ""


class Addresses:
    """`http_port` is told by whoever listens, where the settings leave it open (0)."""

    def __init__(self, settings: Settings, around: Surroundings | None = None) -> None:
        self._settings = settings
        self._around = around or surroundings()
        self._named: tuple[AnyAddress, ...] = ()
        self._seen: dict[str, str] = {}
        self.http_port = settings.http_port

    async def load(self) -> None:
        """What the name in the public URL means, asked once."""
        host = _host(self._settings.public_url)
        if host and _literal(host) is None:
            self._named = await asyncio.to_thread(resolved, host)

    def watch(self, hub: Hub) -> None:
        """Go by the address a module has now, not by the one it registered from."""
        hub.subscribe(SessionOpened, self._session_opened)
        hub.subscribe(ModuleRemoved, self._module_removed)

    def _session_opened(self, event: SessionOpened) -> None:
        if event.address:
            self._seen[event.module_id] = event.address

    def _module_removed(self, event: ModuleRemoved) -> None:
        self._seen.pop(event.module.id, None)

    def advertised(self, module: Module) -> Address:
        module = msgspec.structs.replace(module, address=self._seen.get(module.id, module.address))
        if self._settings.public_url:
            url = self._settings.url
            problem = self._public_problem(_host(url), module)
            return Address("" if problem else url, problem)
        return self._guessed(module)

    def _public_problem(self, host: str, module: Module) -> str:
        if not host:
            return f"PASSERELLE_PUBLIC_URL is no address. {_SET}"
        literal = _literal(host)
        if literal is None and host.lower() in _LOCAL_NAMES and not _is_here(module):
            return f"{host} means this machine only. {_SET}"
        around = self._around
        if around.container and host.lower() == around.host_name.lower():
            return f"{host} is the name of the gateway's own container, which nothing outside knows. {_SET}"
        named = () if literal is not None or "." in host else self._named
        for address in (literal,) if literal is not None else named:
            if problem := self._problem(address, module):
                return problem
        return ""

    def _guessed(self, module: Module) -> Address:
        bound = _literal(self._settings.http_host)
        fixed = bound if bound is not None and not bound.is_unspecified else None
        address = fixed or local_address(module.address)
        if address is None:
            return Address("", f"From where {module.id} reaches the gateway is not known. {_SET}")
        if not self.http_port:
            return Address("", f"The port of the gateway is not known. {_SET}")
        problem = self._problem(address, module)
        scheme = "http" if self._settings.tls_mode == "off" else "https"
        host = f"[{address}]" if address.version == 6 else str(address)
        return Address("" if problem else f"{scheme}://{host}:{self.http_port}", problem)

    def _problem(self, address: AnyAddress, module: Module) -> str:
        if address.is_unspecified:
            return f"{address} is no address to reach anything at. {_SET}"
        if address.is_loopback:
            return "" if _is_here(module) else f"{address} means this machine only. {_SET}"
        if address.is_link_local:
            theirs = _literal(module.address)
            fits = address.version == 4 and theirs is not None and theirs.is_link_local
            return "" if fits else f"{address} is good on one cable only. {_SET}"
        if self._inside_a_container(address, module):
            return f"{address} is an address inside the container the gateway runs in. {_SET}"
        return ""

    def _inside_a_container(self, address: AnyAddress, module: Module) -> bool:
        around, theirs = self._around, _literal(module.address)
        if not around.container or not isinstance(address, IPv4Address):
            return False
        if theirs == around.gateway or theirs is None:
            # The bridge stands before whoever comes from outside.
            return around.bridged or _in_pool(address)
        if isinstance(theirs, IPv4Address) and any(theirs in net for net in around.neighbours):
            return False
        return _in_pool(address) or (around.bridged and any(address in net for net in around.neighbours))


def _in_pool(address: IPv4Address) -> bool:
    return any(address in pool for pool in POOLS)


def _is_here(module: Module) -> bool:
    theirs = _literal(module.address)
    return theirs is not None and theirs.is_loopback


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _literal(host: str) -> AnyAddress | None:
    """The address, where it is written as one; an IPv4 address inside IPv6 counts as itself."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped if isinstance(mapped, IPv4Address) else address
