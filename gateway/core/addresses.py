"""Which addresses count as one, when tries are counted."""

from ipaddress import IPv6Address, ip_address

# A household gets a whole /64 of IPv6, so whoever has one address of it has them all.
PREFIX_BITS = 64
_HOST_BITS = 128 - PREFIX_BITS


def neighbourhood(address: str) -> str:
    """An IPv4 address as it is (also when mapped into IPv6), an IPv6 address as its /64, else as is."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if not isinstance(found, IPv6Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return f"{IPv6Address(int(found) >> _HOST_BITS << _HOST_BITS)}/{PREFIX_BITS}"
