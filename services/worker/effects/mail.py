"""Performs SendMail by SMTP, through the egress guard: a connection a mail.

A mail may have been sent from the moment its text goes out until the server says what became of it.
"""

import asyncio
from base64 import b64decode
from collections.abc import Iterable
from contextlib import suppress
from email.message import EmailMessage
from email.policy import SMTP as WIRE
from email.utils import formatdate, parseaddr
from typing import Any, Final

import aiosmtplib
from aiosmtplib import SMTPException, SMTPResponseException

from domain.effects import EffectError, SendMail
from domain.integrations.errors import REJECTED, UNAUTHORIZED, UNAVAILABLE
from infra.egress.guard import EgressGuard, EgressRefused
from services.worker.effects.credentials import CredentialProblem, Opened
from services.worker.effects.interpreter import EffectContext
from services.worker.effects.server_effects import (
    CONNECT_SECONDS,
    NotConnected,
    Opener,
    Progress,
    Refused,
    connection_error,
    performed,
)
from services.worker.effects.tls import OFF, VERIFY, context_for

MOST_AT_ONCE: Final = 8
"""Mails of a worker that are on their way at once."""
_QUIT_SECONDS: Final = 2.0
_PORTS: Final = {"tls": 465, "starttls": 587, "none": 25}


class MailEffects:
    """The mail client of a worker."""

    def __init__(self, guard: EgressGuard, credentials: Opener) -> None:
        self._guard = guard
        self._credentials = credentials
        self._places = asyncio.Semaphore(MOST_AT_ONCE)

    async def perform(self, effect: SendMail, context: EffectContext) -> dict[str, Any] | EffectError:
        """`{"message_id", "accepted", "refused"}`, or why not."""

        async def work(opened: Opened, progress: Progress) -> dict[str, Any]:
            if effect.login_only:
                client = await self._connect(opened, "localhost", effect.timeout_seconds)
                client.close()
                return {"message_id": None, "accepted": [], "refused": {}}
            message, sender = compose(effect, opened.fields.get("from", ""), context.key)
            async with self._places:
                client = await self._connect(opened, sender, effect.timeout_seconds)
                try:
                    answer = await _send(client, sender, effect, message, progress)
                    with suppress(Exception):  # the answer is there: a server that does not say goodbye changes nothing
                        await client.quit(timeout=_QUIT_SECONDS)
                    return answer
                finally:
                    client.close()

        return await performed("mail", self._credentials, effect, context, work)

    async def close(self) -> None:
        """Nothing is kept."""

    async def _connect(self, opened: Opened, sender: str, seconds: float) -> aiosmtplib.SMTP:
        """A client that is logged in. Raises NotConnected, CredentialProblem."""
        fields = opened.fields
        security = fields.get("security") or "starttls"
        host, port = fields["host"], int(fields.get("port") or _PORTS[security])
        tls = context_for(fields, host, OFF if security == "none" else fields.get("tls") or VERIFY)
        try:
            sock = await self._guard.connect(host, port, seconds=CONNECT_SECONDS)
        except (EgressRefused, OSError) as error:
            raise NotConnected(connection_error(error)) from None
        client = aiosmtplib.SMTP(
            hostname=host,
            sock=sock,
            use_tls=security == "tls",
            start_tls=security == "starttls",
            tls_context=tls,
            timeout=seconds,
            local_hostname=sender.rpartition("@")[2],
        )
        try:
            await client.connect()
            if fields.get("user"):
                await client.login(fields["user"], fields.get("password", ""))
        except (SMTPException, OSError) as error:
            client.close()  # and its transport the socket
            raise NotConnected(_not_connected(error)) from None
        except BaseException:
            client.close()
            raise
        return client


def compose(effect: SendMail, default_sender: str, key: str) -> tuple[EmailMessage, str]:
    """The message, and its sender's address. Bcc stands nowhere in it. Raises CredentialProblem where nobody sends."""
    given = effect.sender or default_sender
    sender = parseaddr(given)[1]
    if "@" not in sender:
        raise CredentialProblem("credential_unusable", "neither the node nor the credential says who sends: set 'from'")
    message = EmailMessage(policy=WIRE)
    message["From"] = given
    if effect.to:
        message["To"] = ", ".join(effect.to)
    if effect.cc:
        message["Cc"] = ", ".join(effect.cc)
    if effect.reply_to:
        message["Reply-To"] = effect.reply_to
    message["Subject"] = effect.subject
    message["Date"] = formatdate(usegmt=True)
    message["Message-ID"] = message_id(key, sender)
    for name, value in effect.headers.items():
        message[name] = value
    if effect.text is not None:
        message.set_content(effect.text)
        if effect.html is not None:
            message.add_alternative(effect.html, subtype="html")
    else:
        message.set_content(effect.html or "", subtype="html")
    for attachment in effect.attachments:
        main, _, sub = attachment.content_type.partition("/")
        message.add_attachment(
            b64decode(attachment.content), maintype=main, subtype=sub or "octet-stream", filename=attachment.filename
        )
    return message, sender


def message_id(key: str, sender: str) -> str:
    """The same in every attempt of an effect."""
    return f"<{key}@{sender.rpartition('@')[2]}>"


async def _send(
    client: aiosmtplib.SMTP, sender: str, effect: SendMail, message: EmailMessage, progress: Progress
) -> dict[str, Any]:
    """Raises Refused for what the server says, SMTPException, OSError."""
    accepted: list[str] = []
    refused: dict[str, str] = {}
    try:
        data = message.as_bytes()
        options = ["SMTPUTF8", "BODY=8BITMIME"] if not _ascii([sender, *_addresses(effect)]) else []
        await client.mail(sender, options=options)
        for address in dict.fromkeys(_addresses(effect)):
            try:
                await client.rcpt(address)
                accepted.append(address)
            except SMTPResponseException as error:
                refused[address] = f"{error.code} {error.message}"
        if not accepted:
            raise Refused(_all_refused(refused))
        progress.sent = True
        await client.data(data)
        progress.sent = False
    except SMTPResponseException as error:
        raise Refused(_server_error(error)) from None
    except SMTPException as error:
        if isinstance(error, TimeoutError):
            raise TimeoutError from None
        raise ConnectionError(str(error)) from None
    return {"message_id": str(message["Message-ID"]), "accepted": accepted, "refused": refused}


def _addresses(effect: SendMail) -> list[str]:
    return [parseaddr(each)[1] for each in (*effect.to, *effect.cc, *effect.bcc)]


def _ascii(addresses: Iterable[str]) -> bool:
    return all(address.isascii() for address in addresses)


def _not_connected(error: Exception) -> EffectError:
    """What a failure before the first mail command means: nothing was sent."""
    match error:
        case aiosmtplib.SMTPAuthenticationError():
            told = f"the mail server refuses the login: {error.code} {error.message}"
            return EffectError(UNAUTHORIZED, told, retriable=False)
        case SMTPResponseException():
            return _server_error(error)
        case OSError():
            cause = error.__cause__ or error.__context__
            return connection_error(cause if isinstance(cause, OSError) else error)
        case _:
            return EffectError(REJECTED, f"the mail server cannot do what it should: {error}", retriable=False)


def _all_refused(refused: dict[str, str]) -> EffectError:
    told = "; ".join(f"{address}: {reason}" for address, reason in refused.items())
    again = all(reason.startswith("4") for reason in refused.values())
    code = UNAVAILABLE if again else REJECTED
    return EffectError(code, f"the mail server refuses everybody: {told}", retriable=again)


def _server_error(error: SMTPResponseException) -> EffectError:
    again = 400 <= error.code < 500
    code = UNAVAILABLE if again else REJECTED
    return EffectError(code, f"the mail server answered {error.code} {error.message}", retriable=again)
