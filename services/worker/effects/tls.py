"""TLS to servers that a credential names: what it says about trust, and the name that the certificate must have."""

import ssl
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from services.worker.effects.credentials import CredentialProblem

VERIFY, ENCRYPT, OFF = "verify", "encrypt", "off"
"""Certificate and name are checked; only encrypted, whoever it is; not even that."""


class NamedContext(ssl.SSLContext):
    """Checks the certificate for `name`, whatever address a library connects to."""

    name: str | None = None

    def wrap_bio(self, incoming: Any, outgoing: Any, server_side: bool = False,
                 server_hostname: Any = None, session: Any = None) -> ssl.SSLObject:  # fmt: skip
        return super().wrap_bio(incoming, outgoing, server_side, self.name or server_hostname, session)


def context_for(fields: Mapping[str, str], name: str, mode: str | None = None) -> ssl.SSLContext | None:
    """The TLS context of a credential's fields (`tls`, `ca`), None for none. Raises CredentialProblem."""
    mode = mode or fields.get("tls") or VERIFY
    if mode == OFF:
        return None
    return _context(mode == VERIFY, fields.get("ca", ""), name)


@lru_cache(maxsize=128)
def _context(verify: bool, ca: str, name: str) -> ssl.SSLContext:
    context = NamedContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.name = name
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    if not ca:
        context.load_default_certs()
        return context
    try:
        context.load_verify_locations(cadata=ca)
    except (ssl.SSLError, ValueError) as error:
        raise CredentialProblem("credential_unusable", f"the field 'ca' holds no certificate (PEM): {error}") from None
    return context
