"""Where this program runs, as far as that decides under which address others can reach it."""

import re
import socket
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, ip_address
from pathlib import Path

AnyAddress = IPv4Address | IPv6Address

_MARKS = (Path("/.dockerenv"), Path("/run/.containerenv"))
_CGROUP = re.compile(r"docker|kubepods|containerd|libpod|lxc")
# What Docker, Podman and slirp take for their bridges.
POOLS = tuple(IPv4Network(net) for net in ("172.16.0.0/12", "10.88.0.0/16", "10.0.2.0/24"))


@dataclass(frozen=True, slots=True)
class Surroundings:
    """`gateway`: the next hop of the default route; `neighbours`: networks reached without one; `bridged`:
    the interface of the default route has its other end in another namespace."""

    container: bool = False
    host_name: str = ""
    gateway: AnyAddress | None = None
    neighbours: tuple[IPv4Network, ...] = ()
    bridged: bool = False


def surroundings() -> Surroundings:
    """As it is now; reads a few small files of the kernel."""
    container = any(mark.exists() for mark in _MARKS) or bool(_CGROUP.search(_text("/proc/1/cgroup")))
    gateway, interface, neighbours = _routes(_text("/proc/net/route"))
    ends = {_text(f"/sys/class/net/{interface}/{end}").strip() for end in ("iflink", "ifindex")}
    return Surroundings(container, socket.gethostname(), gateway, neighbours, len(ends) > 1)


def local_address(towards: str) -> AnyAddress | None:
    """From which of its addresses the kernel would write there; nothing is sent."""
    try:
        # A name would be looked up, and that takes its time.
        target = ip_address(towards)
        family = socket.AF_INET6 if target.version == 6 else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((str(target), 9))
            return ip_address(probe.getsockname()[0].partition("%")[0])
    except (OSError, ValueError):
        return None


def _routes(table: str) -> tuple[IPv4Address | None, str, tuple[IPv4Network, ...]]:
    gateway, interface, neighbours = None, "", []
    for line in table.splitlines()[1:]:
        words = line.split()
        if len(words) < 8:
            continue
        target, hop, mask = (_address(words[column]) for column in (1, 2, 7))
        if int(target) == int(mask) == 0 and int(hop):
            gateway, interface = hop, words[0]
        elif not int(hop):
            neighbours.append(IPv4Network(f"{target}/{mask}", strict=False))
    return gateway, interface, tuple(neighbours)


def _address(hexadecimal: str) -> IPv4Address:
    """The kernel writes them in the machine's byte order."""
    return IPv4Address(int(hexadecimal, 16).to_bytes(4, "little"))


def _text(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""


def resolved(host_name: str) -> tuple[AnyAddress, ...]:
    """What a name means here; blocks. Nothing when it means nothing."""
    try:
        found = socket.getaddrinfo(host_name, None, type=socket.SOCK_STREAM)
    except OSError:
        return ()
    return tuple({ip_address(str(entry[4][0]).partition("%")[0]) for entry in found})
