"""Where a redirect leads, and what may go along: pure, so that every hop is judged by the one place that sends."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from multidict import CIMultiDictProxy
from yarl import URL

from infra.egress.guard import EgressRefused
from infra.egress.targets import Target, parse_target

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_HARMLESS: Final = frozenset(
    {
        "accept", "accept-charset", "accept-encoding", "accept-language", "cache-control", "content-language",
        "content-type", "if-match", "if-modified-since", "if-none-match", "if-unmodified-since", "pragma", "prefer",
        "range", "traceparent", "user-agent",
    }
)  # fmt: skip
_ABSOLUTE: Final = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_OF_A_BODY: Final = ("content-type", "content-language", "content-encoding")


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One request on its way. `headers` are sent as they are; `body` None: none."""

    method: str
    target: Target
    headers: Mapping[str, str]
    body: bytes | None = None
    proxy: Target | None = None
    verify_tls: bool = True


def location_of(status: int, headers: CIMultiDictProxy[str]) -> str | None:
    """Where the answer sends the client, None if it is no redirect."""
    return headers.get("location") if status in _REDIRECTS else None


def follow(sent: Outgoing, status: int, location: str) -> Outgoing:
    """The request that follows. Raises EgressRefused for what must not be followed, ValueError for what is no address.

    303 makes a GET of everything but HEAD, 301 and 302 of a POST (as browsers do), 307 and 308 keep method and body.
    """
    target = parse_target(location if _ABSOLUTE.match(location) else sent.target.url.join(_parsed(location)))
    if sent.target.scheme == "https" and target.scheme != "https":
        raise EgressRefused(
            f"the redirect leads from https to {target.scheme}://{target.host}: it would go unencrypted"
        )
    hop = replace(sent, target=target, headers=headers_for(target, sent.target, sent.headers))
    if (status == 303 and sent.method != "HEAD") or (status in {301, 302} and sent.method == "POST"):
        headers = {name: value for name, value in hop.headers.items() if name.lower() not in _OF_A_BODY}
        return replace(hop, method="GET", body=None, headers=headers)
    return hop


def headers_for(target: Target, of: Target, headers: Mapping[str, str]) -> dict[str, str]:
    """`headers` made for `of` as they may go to `target`: to another origin only those that can carry no secret.

    A key may stand in a header of any name, so it is a list of what goes along, not of what does not.
    """
    if target.origin == of.origin:
        return dict(headers)
    return {name: value for name, value in headers.items() if name.lower() in _HARMLESS}


def _parsed(location: str) -> URL:
    if any(ord(sign) < 32 or ord(sign) == 127 for sign in location):
        raise EgressRefused("the redirect's address holds a control character")
    return URL(location)
