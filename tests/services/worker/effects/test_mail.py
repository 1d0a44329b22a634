"""SendMail to a real mail server on loopback, and to servers that misbehave."""

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import msgspec
import pytest

aiosmtpd_smtp = pytest.importorskip("aiosmtpd.smtp", reason="no mail server: aiosmtpd is not installed")

from domain.effects import Attachment, EffectError, ItemResult, SendMail  # noqa: E402
from infra.egress.guard import EgressGuard  # noqa: E402
from services.worker.effects.mail import MailEffects  # noqa: E402
from tests.domain.integrations import cases_email  # noqa: E402
from tests.domain.integrations.table import Case, run_case  # noqa: E402
from tests.support.certificates import authority  # noqa: E402
from tests.support.opened import REF, Opener, context  # noqa: E402

SECRET = "canary-of-the-mail-server"
MAIL = SendMail(to=["ada@example.com"], subject="Grüße", text="Hällo\n.\n..x", credential=REF)


class Mailbox:
    """What the server accepted. `refuse`: what it says at a step instead."""

    def __init__(self, **refuse: str) -> None:
        self.mails: list[tuple[list[str], EmailMessage]] = []
        self.logins: list[tuple[bytes, bytes]] = []
        self._refuse = refuse

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any) -> str:  # noqa: N802
        refused = self._refuse.get(address.partition("@")[0])
        if refused:
            return refused
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        if "DATA" in self._refuse:
            return self._refuse["DATA"]
        message = message_from_bytes(envelope.content, policy=default)
        assert isinstance(message, EmailMessage)
        self.mails.append((envelope.rcpt_tos, message))
        return "250 OK"

    def login(self, _server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> Any:
        self.logins.append((data.login, data.password))
        return aiosmtpd_smtp.AuthResult(success=data.password == SECRET.encode(), handled=False)


@asynccontextmanager
async def mail_server(mailbox: Mailbox, **options: Any) -> AsyncIterator[int]:
    tls = options.pop("tls", None)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: aiosmtpd_smtp.SMTP(mailbox, hostname="mail.test", authenticator=mailbox.login, **options),
        "127.0.0.1",
        0,
        ssl=tls,
    )
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def _loopback(_host: str, _port: int) -> list[str]:
    return ["127.0.0.1"]


def effects_for(port: int, **fields: str) -> MailEffects:
    known = {"host": "mail.test", "port": str(port), "security": "none", "from": "LinkFlow <flow@example.org>"}
    return MailEffects(EgressGuard(["127.0.0.1"], _loopback), Opener(**{**known, **fields}))


async def sent(effects: MailEffects, mail: SendMail = MAIL) -> dict[str, Any]:
    result = await effects.perform(mail, context())
    assert isinstance(result, dict), result
    return result


async def error(effects: MailEffects, mail: SendMail = MAIL) -> EffectError:
    result = await effects.perform(mail, context())
    assert isinstance(result, EffectError), result
    assert SECRET not in result.message
    assert b64encode(f"\0ada\0{SECRET}".encode()).decode() not in result.message
    return result


CASES = [pytest.param(case, id=str(number)) for number, case in enumerate(cases_email.CASES)]


@pytest.mark.parametrize("case", CASES)
async def test_every_case_arrives(case: Case) -> None:
    run = run_case("email", case)
    (effect,) = run.attempt("x").effects
    mailbox = Mailbox()
    async with mail_server(mailbox) as port:
        value = await sent(effects_for(port), msgspec.structs.replace(effect, credential=REF))
    ((recipients, message),) = mailbox.mails
    assert recipients == value["accepted"]
    assert message["Message-ID"] == value["message_id"]
    run.conclude("x", [ItemResult(index=0, value=value)])
    assert run.status == "completed"


async def test_what_arrives() -> None:
    mailbox = Mailbox()
    mail = msgspec.structs.replace(
        MAIL,
        sender='"Große, Ada" <ada@example.org>',
        html="<p>Hällo</p>",
        cc=["bob@example.com"],
        bcc=["carol@example.com"],
        reply_to="help@example.org",
        headers={"X-Order": "7"},
        attachments=[Attachment("a.txt", b64encode(b"Hallo").decode(), "text/plain"), Attachment("ü.bin", "AAE=")],
    )
    async with mail_server(mailbox) as port:
        found = await sent(effects_for(port), mail)
    assert found == {
        "message_id": "<5f0c1a2b-0000-5000-8000-000000000001@example.org>",
        "accepted": ["ada@example.com", "bob@example.com", "carol@example.com"],
        "refused": {},
    }
    ((recipients, message),) = mailbox.mails
    assert recipients == found["accepted"]
    assert message["Subject"] == "Grüße"
    assert message["From"].addresses[0].display_name == "Große, Ada"
    assert (message["Cc"], message["Bcc"], message["X-Order"]) == ("bob@example.com", None, "7")
    assert message["Reply-To"] == "help@example.org"
    assert message["Date"]
    plain, html = message.get_body(("plain",)), message.get_body(("html",))
    assert plain is not None
    assert html is not None
    assert plain.get_content().splitlines() == ["Hällo", ".", "..x"]
    assert html.get_content().strip() == "<p>Hällo</p>"
    attached = {each.get_filename(): each.get_content() for each in message.iter_attachments()}
    assert attached == {"a.txt": "Hallo", "ü.bin": b"\0\1"}


async def test_every_attempt_has_the_same_message_id() -> None:
    mailbox = Mailbox()
    async with mail_server(mailbox) as port:
        effects = effects_for(port)
        first, second = await sent(effects), await sent(effects)
        other = await effects.perform(MAIL, context("another-key"))
    assert first["message_id"] == second["message_id"] == mailbox.mails[0][1]["Message-ID"]
    assert isinstance(other, dict)
    assert other["message_id"] != first["message_id"]


async def test_who_is_refused_is_told() -> None:
    mailbox = Mailbox(nobody="550 no such mailbox", busy="450 try later")
    async with mail_server(mailbox) as port:
        found = await sent(effects_for(port), msgspec.structs.replace(MAIL, cc=["nobody@example.com"]))
        assert found["accepted"] == ["ada@example.com"]
        assert found["refused"] == {"nobody@example.com": "550 no such mailbox"}
        nobody = await error(effects_for(port), msgspec.structs.replace(MAIL, to=["nobody@example.com"]))
        assert (nobody.code, nobody.retriable, nobody.unknown) == ("rejected", False, False)
        busy = await error(effects_for(port), msgspec.structs.replace(MAIL, to=["busy@example.com"]))
        assert (busy.code, busy.retriable, busy.unknown) == ("unavailable", True, False)


@pytest.mark.parametrize(
    ("answer", "code", "retriable"), [("554 spam", "rejected", False), ("451 later", "unavailable", True)]
)
async def test_a_mail_that_is_refused_was_not_sent(answer: str, code: str, retriable: bool) -> None:
    async with mail_server(Mailbox(DATA=answer)) as port:
        refused = await error(effects_for(port))
    assert (refused.code, refused.retriable, refused.unknown) == (code, retriable, False)
    assert answer in refused.message


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")  # it is TLS from the first byte
async def test_login_over_tls(tmp_path: Path) -> None:
    tls = authority().server(tmp_path, "mail.test")
    mailbox = Mailbox()
    login = {"user": "ada", "password": SECRET, "ca": authority().pem}
    async with mail_server(mailbox, tls_context=tls, require_starttls=True, auth_required=True) as port:
        await sent(effects_for(port, security="starttls", **login))
        wrong = await error(effects_for(port, security="starttls", **{**login, "password": "canary-wrong"}))
        assert (wrong.code, wrong.retriable, wrong.unknown) == ("unauthorized", False, False)
        assert "canary" not in wrong.message
    async with mail_server(mailbox, tls=tls, auth_require_tls=False, auth_required=True) as port:
        await sent(effects_for(port, security="tls", **login))
    assert len(mailbox.mails) == 2
    assert mailbox.logins[0] == (b"ada", SECRET.encode())


async def test_a_server_that_knows_no_login() -> None:
    async with mail_server(Mailbox()) as port:
        refused = await error(effects_for(port, user="ada", password=SECRET))
    assert (refused.code, refused.retriable, refused.unknown) == ("rejected", False, False)


async def test_a_certificate_that_is_not_trusted_or_of_another_name(tmp_path: Path) -> None:
    mailbox = Mailbox()
    async with mail_server(mailbox, tls=authority().server(tmp_path, "mail.test")) as port:
        unknown = await error(effects_for(port, security="tls", user="ada", password=SECRET))
        assert (unknown.code, unknown.retriable, unknown.unknown) == ("tls_failed", False, False)
        await sent(effects_for(port, security="tls", tls="encrypt"))
    async with mail_server(mailbox, tls=authority().server(tmp_path, "other.test")) as port:
        other = await error(effects_for(port, security="tls", ca=authority().pem))
        assert other.code == "tls_failed"
        assert "mail.test" in other.message
    async with mail_server(mailbox) as port:
        plain = await error(effects_for(port, security="starttls", user="ada", password=SECRET))
        assert not plain.unknown
    assert mailbox.logins == []


async def test_nobody_says_who_sends() -> None:
    refused = await error(effects_for(1, **{"from": ""}))
    assert (refused.code, refused.retriable) == ("credential_unusable", False)


async def test_no_way_to_the_server() -> None:
    closed = MailEffects(EgressGuard([], _loopback), Opener(host="mail.test", **{"from": "a@b.example"}))
    assert (await error(closed)).code == "egress_refused"
    gone = await error(effects_for(9))
    assert (gone.code, gone.retriable, gone.unknown) == ("connection_failed", True, False)


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def against(serve: Serve, **fields: str) -> EffectError:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        finally:
            writer.close()
            ended.set()

    ended = asyncio.Event()
    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server:
        effects = effects_for(server.sockets[0].getsockname()[1], **fields)
        found = await error(effects, msgspec.structs.replace(MAIL, timeout_seconds=1.0))
        await ended.wait()
    return found


def script(until: bytes, *, hang_up: bool = False) -> Serve:
    """A server that answers 250 (354 to DATA) to each line until `until`; there it falls silent."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.test\r\n")
        listening = False
        while line := await reader.readline():
            if line.startswith(until):
                if not hang_up:
                    await reader.read(1)
                return
            if not listening:
                listening = line.startswith(b"DATA")
                writer.write(b"354 go on\r\n" if listening else b"250 OK\r\n")

    return serve


async def test_no_answer_to_the_text_means_that_nobody_knows() -> None:
    lost = await against(script(b".\r\n"))
    assert (lost.code, lost.retriable, lost.unknown) == ("timeout", True, True)


async def test_a_connection_that_breaks_after_the_text() -> None:
    lost = await against(script(b".\r\n", hang_up=True))
    assert (lost.code, lost.retriable, lost.unknown) == ("connection_lost", True, True)


@pytest.mark.parametrize("step", [b"EHLO", b"MAIL", b"RCPT"])
async def test_silence_before_the_text_means_that_nothing_was_sent(step: bytes) -> None:
    lost = await against(script(step))
    assert (lost.code in {"timeout", "connection_failed"}, lost.retriable, lost.unknown) == (True, True, False)


async def test_a_server_that_is_no_mail_server() -> None:
    async def other(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    assert not (await against(other)).unknown


async def test_an_error_that_echoes_the_secret_is_without_it(tmp_path: Path) -> None:
    class Echo(Mailbox):
        def login(self, _server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> Any:
            told = b"535 not " + data.password
            return aiosmtpd_smtp.AuthResult(success=False, handled=False, message=told.decode())

    tls = authority().server(tmp_path, "mail.test")
    async with mail_server(Echo(), tls_context=tls, auth_required=True) as port:
        login = {"user": "ada", "password": SECRET, "ca": authority().pem}
        assert "[hidden]" in (await error(effects_for(port, security="starttls", **login))).message
