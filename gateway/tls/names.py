"""By which names and addresses the gateway is reached, for its certificate."""

import re
import socket
from contextlib import suppress
from ipaddress import ip_address
from urllib.parse import urlsplit

from gateway.settings import EVERY_INTERFACE, Settings

_HOST = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)(\.(?!-)[a-z0-9-]{1,63}(?<!-))*\Z")
# A documentation address: asking the kernel by which interface it would go there sends nothing.
_ELSEWHERE = ("192.0.2.1", 9)


def own_names(settings: Settings) -> list[str]:
    """PUBLIC_URL's host first, then what this machine is called, then its addresses; none twice."""
    host = socket.gethostname().lower().rstrip(".")
    short = host.split(".")[0]
    found = [
        (urlsplit(settings.public_url).hostname or "").lower(), settings.http_host, settings.mqtt_host,
        host, f"{short}.local", "localhost", "127.0.0.1", "::1", *_addresses(),
    ]  # fmt: skip
    return list(dict.fromkeys(name for name in found if _usable(name)))


def _usable(name: str) -> bool:
    if name in (EVERY_INTERFACE, "::", ""):
        return False
    try:
        ip_address(name)
    except ValueError:
        return len(name) <= 253 and _HOST.match(name) is not None
    return True


def _addresses() -> list[str]:
    """This machine's address in its network. Those of IPv6 change every day: they are reached by name."""
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.connect(_ELSEWHERE)
        return [str(asking.getsockname()[0])]
    return []
