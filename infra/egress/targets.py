"""Where a request wants to go: parsed once, so that what is judged is what is connected to."""

from dataclasses import dataclass
from typing import Final

from yarl import URL

from infra.egress.addresses import literal
from infra.egress.guard import EgressRefused

SCHEMES: Final = ("http", "https")
_CONTROLS: Final = frozenset([*map(chr, range(32)), "\x7f"])
_LONGEST: Final = 16_384


@dataclass(frozen=True, slots=True)
class Target:
    """`url`: what the client is given, as it is. `host` (ASCII, lower case, no brackets) and `port` are its own."""

    url: URL
    scheme: str
    host: str
    port: int

    @property
    def origin(self) -> tuple[str, str, int]:
        return self.scheme, self.host, self.port


def parse_target(address: str | URL) -> Target:
    """The target of an absolute http or https address. Raises EgressRefused; ValueError for what is no address."""
    text = str(address)
    if len(text) > _LONGEST:
        raise ValueError(f"the address has more than {_LONGEST:,} characters")
    if not _CONTROLS.isdisjoint(text):
        raise EgressRefused("the address holds a line break or another control character")
    scheme, mark, rest = text.partition("://")
    if not mark or scheme.lower() not in SCHEMES:
        raise EgressRefused("the address must begin with http:// or https://")
    authority = _until(rest, "/?#")
    if "\\" in authority or any(sign.isspace() for sign in authority):
        raise EgressRefused("the host holds a backslash or a space")
    if "@" in authority:
        raise EgressRefused("the address holds a user name or password: give them by a credential")
    if "%" in authority:
        raise EgressRefused("the host holds a zone or an escape (%)")
    if "[" in authority and not _is_v6(authority.partition("[")[2].partition("]")[0]):
        raise EgressRefused("the brackets hold no IPv6 address")
    url = address if isinstance(address, URL) else URL(text)
    host, port = url.raw_host, url.port
    if not host or port is None or url.scheme not in SCHEMES:
        raise ValueError("the address names no host")
    if url.raw_user is not None or url.raw_password is not None or "%" in host:
        raise EgressRefused("the address holds a user name, a password or a zone")
    if not 1 <= port <= 65_535:
        raise ValueError(f"port {port} is not between 1 and 65535")
    return Target(url, url.scheme, host, port)


def _is_v6(text: str) -> bool:
    address = literal(text)
    return address is not None and address.version == 6


def _until(text: str, stops: str) -> str:
    ends = [place for stop in stops if (place := text.find(stop)) >= 0]
    return text[: min(ends)] if ends else text
