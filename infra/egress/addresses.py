"""Which IP addresses are public: our own table, because `ipaddress.is_global` errs (and differs between Pythons).

The table holds every range of IANA's special-purpose registries for IPv4 and IPv6, reachable ones included (nobody
needs AS112 in a workflow), multicast, what was deprecated, and the metadata addresses of clouds that look public.
An IPv6 address that carries an IPv4 address is judged by both.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

IP = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_V4: Final = (
    ("0.0.0.0/8", "this network"),
    ("10.0.0.0/8", "private"),
    ("100.64.0.0/10", "shared address space of carriers"),
    ("127.0.0.0/8", "loopback"),
    ("168.63.129.16/32", "metadata service"),
    ("169.254.0.0/16", "link-local, where clouds keep their metadata"),
    ("172.16.0.0/12", "private"),
    ("192.0.0.0/24", "IETF protocol assignments"),
    ("192.0.2.0/24", "documentation"),
    ("192.31.196.0/24", "AS112"),
    ("192.52.193.0/24", "AMT relay"),
    ("192.88.99.0/24", "6to4 relay"),
    ("192.168.0.0/16", "private"),
    ("192.175.48.0/24", "AS112"),
    ("198.18.0.0/15", "benchmarking"),
    ("198.51.100.0/24", "documentation"),
    ("203.0.113.0/24", "documentation"),
    ("224.0.0.0/4", "multicast"),
    ("240.0.0.0/4", "reserved"),
)
_V6: Final = (
    ("::1/128", "loopback"),
    ("::/128", "unspecified"),
    ("::/96", "IPv4-compatible, deprecated"),
    ("::ffff:0:0:0/96", "IPv4-translated"),
    ("64:ff9b:1::/48", "local NAT64"),
    ("100::/64", "discard-only"),
    ("100:0:0:1::/64", "dummy prefix"),
    ("2001::/32", "Teredo"),
    ("2001:db8::/32", "documentation"),
    ("2001::/23", "IETF protocol assignments"),
    ("2002::/16", "6to4"),
    ("2620:4f:8000::/48", "AS112"),
    ("3fff::/20", "documentation"),
    ("5f00::/16", "segment routing"),
    ("fc00::/7", "unique local, private"),
    ("fe80::/10", "link-local"),
    ("fec0::/10", "site-local, deprecated"),
    ("ff00::/8", "multicast"),
)
_GLOBAL_V6: Final = IPv6Network("2000::/3")
"""All that IANA has given out for the Internet; the rest of IPv6 is nobody's."""
_NAT64: Final = IPv6Network("64:ff9b::/96")
_ISATAP: Final = frozenset({0x0000_5EFE, 0x0200_5EFE})

_SPECIAL: Final[tuple[tuple[Network, str], ...]] = tuple((ip_network(text), why) for text, why in (*_V4, *_V6))


class Allowed:
    """The ranges that the operator opened. Raises ValueError for what is neither an address nor a range."""

    def __init__(self, entries: Sequence[str]) -> None:
        self._networks = tuple(_network(entry) for entry in entries)

    def __contains__(self, address: IP) -> bool:
        return any(address.version == network.version and address in network for network in self._networks)

    def opened(self, address: IP) -> bool:
        """Whether the operator opened this address, or the IPv4 address that is meant by it."""
        return canonical(address) in self


def canonical(address: IP) -> IP:
    """`address` without scope; an IPv4-mapped one as the IPv4 address that a socket connects to."""
    if isinstance(address, IPv6Address):
        return address.ipv4_mapped or IPv6Address(int(address))
    return address


def why_refused(address: IP, allowed: Allowed) -> str | None:
    """What is special about an address that may not be reached, such as `private (10.0.0.0/8)`; None: reach it."""
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        return "an address with a zone"
    address = canonical(address)
    if address in allowed:
        return None
    for network, why in _SPECIAL:
        if address.version == network.version and address in network:
            return f"{why} ({network})"
    if isinstance(address, IPv6Address):
        for inner, how in _inside(address):
            why_inner = why_refused(inner, allowed)
            if why_inner is not None:
                return f"{how} of {inner}: {why_inner}"
        if address not in _GLOBAL_V6 and address not in _NAT64:
            return "not assigned to the Internet"
    return None


def _inside(address: IPv6Address) -> Iterable[tuple[IPv4Address, str]]:
    """The IPv4 addresses that an otherwise public IPv6 address leads to (6to4 and Teredo are refused as a whole)."""
    low = IPv4Address(int(address) & 0xFFFF_FFFF)
    if address in _NAT64:
        yield low, "NAT64"
    if (int(address) >> 32) & 0xFFFF_FFFF in _ISATAP:
        yield low, "ISATAP"


@lru_cache(maxsize=1_024)
def literal(host: str) -> IP | None:
    """The address that `host` spells in the usual form (brackets and zone allowed), else None: it is a name."""
    try:
        return ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return None


def _network(entry: str) -> Network:
    try:
        return ip_network(entry, strict=False)
    except ValueError:
        raise ValueError(
            f"{entry!r} is neither an IP address nor a range such as 10.0.0.0/8 (names are not taken: an address is "
            "what is judged)"
        ) from None
