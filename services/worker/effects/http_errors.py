"""What went wrong with an HTTP request, in the words of the product.

code                what happened                                                     again?   may have happened
egress_refused      the address, or one that a redirect leads to, may not be reached  no       no
invalid_request     it cannot be sent as it is described                              no       no
connection_failed   no connection                                                     yes      no
tls_failed          the server's certificate, or TLS itself, cannot be trusted        no       no
timeout             no complete answer in time                                        yes      yes
connection_lost     the connection broke after the request began                      yes      yes
bad_response        the answer breaks HTTP, or its own encoding                       no       yes
"""

import aiohttp

from domain.effects import EffectError
from infra.egress.guard import EgressRefused


def error_of(error: Exception, seconds: float) -> EffectError:
    """The effect's error; raises what is no failure of a request."""
    match error:
        case EgressRefused():
            return EffectError(error.code, error.message, retriable=False)
        case aiohttp.ClientConnectorCertificateError():
            return EffectError("tls_failed", f"the server's certificate is refused: {_why(error)}", retriable=False)
        case aiohttp.ClientSSLError():
            return EffectError("tls_failed", f"no TLS connection to the server: {_why(error)}", retriable=False)
        case aiohttp.ClientConnectorDNSError():
            return EffectError("connection_failed", f"the host's name cannot be resolved: {_why(error)}")
        case aiohttp.ClientConnectorError() | aiohttp.ConnectionTimeoutError():
            return EffectError("connection_failed", f"cannot connect: {_why(error)}")
        case TimeoutError():
            return EffectError("timeout", f"no answer within {seconds:g} seconds", unknown=True)
        case aiohttp.ClientHttpProxyError():
            return EffectError("connection_failed", f"the proxy refuses with status {error.status}")
        case aiohttp.ClientResponseError():
            return EffectError("bad_response", f"the answer is no HTTP: {error.message}", retriable=False, unknown=True)
        case aiohttp.InvalidURL() | ValueError() | TypeError():
            return EffectError("invalid_request", f"the request cannot be sent: {_why(error)}", retriable=False)
        case aiohttp.ClientError() | OSError():
            return EffectError("connection_lost", f"the connection broke: {_why(error)}", unknown=True)
        case _:
            raise error


def _why(error: Exception) -> str:
    return str(error) or type(error).__name__
