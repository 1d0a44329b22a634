"""Signed webhooks: Standard Webhooks, verified by code that shares nothing with what signs."""

import base64
import hashlib

import pytest

from domain.credential.http_auth import CannotAuthorise, authorised
from domain.credential.signature import key_of, secret_text, signatures
from domain.credential.types import CREDENTIAL_TYPES
from domain.effects import HttpRequest

TYPE = CREDENTIAL_TYPES["webhook_signature"]
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = secret_text(bytes(range(32)))
AT = 1_614_265_330_999


def hmac_sha256(key: bytes, message: bytes) -> bytes:
    """RFC 2104, spelled out."""
    block = key.ljust(64, b"\0")
    inner = hashlib.sha256(bytes(each ^ 0x36 for each in block) + message).digest()
    return hashlib.sha256(bytes(each ^ 0x5C for each in block) + inner).digest()


def verified(headers: dict[str, str], body: bytes, secret: str) -> bool:
    """As docs/notifications.md shows it."""
    key = base64.b64decode(secret[len("whsec_") :])
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    wanted = base64.b64encode(hmac_sha256(key, signed)).decode()
    return wanted in [each.partition(",")[2] for each in headers["webhook-signature"].split() if each[:3] == "v1,"]


def sent(fields: dict[str, str], at: int = AT, **parts: object) -> HttpRequest:
    request = {"headers": {"webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek"}, "body_text": '{"test": 2432232314}', **parts}
    return authorised(HttpRequest("POST", "https://x.example/", **request), TYPE, fields, at=at)  # type: ignore[arg-type]


def test_the_example_of_the_specification() -> None:
    """https://github.com/standard-webhooks/standard-webhooks: its libraries' test vector."""
    made = signatures([SECRET], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, b'{"test": 2432232314}')
    assert made == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_what_is_sent_is_what_was_signed() -> None:
    request = sent({"secret": SECRET})
    assert request.headers["webhook-timestamp"] == "1614265330"
    assert verified(request.headers, b'{"test": 2432232314}', SECRET)
    assert not verified(request.headers, b'{"test": 2432232315}', SECRET)
    assert not verified(request.headers, b'{"test": 2432232314}', OTHER)
    later = sent({"secret": SECRET}, at=AT + 60_000)
    assert later.headers["webhook-signature"] != request.headers["webhook-signature"]


def test_a_json_body_is_sent_in_the_very_bytes_that_were_signed() -> None:
    request = sent({"secret": SECRET}, body={"ü": [1, 2.5]}, body_text=None)
    assert request.body is None
    assert request.body_text is not None
    assert request.headers["Content-Type"] == "application/json"
    assert verified(request.headers, request.body_text.encode(), SECRET)


def test_while_one_secret_follows_the_other_both_sign() -> None:
    fields = {"secret": SECRET, "secret_until": str(AT + 1_000), "second_secret": OTHER}
    both = sent(fields).headers
    body = b'{"test": 2432232314}'
    assert verified(both, body, SECRET)
    assert verified(both, body, OTHER)
    after = sent(fields, at=AT + 2_000).headers
    assert not verified(after, body, SECRET)
    assert verified(after, body, OTHER)


@pytest.mark.parametrize(
    ("fields", "parts"),
    [
        ({"secret": SECRET}, {"headers": {}}),
        ({"secret": SECRET}, {"form": {"a": 1}, "body_text": None}),
        ({"secret": SECRET, "secret_until": "1"}, {}),
        ({}, {}),
    ],
)
def test_what_cannot_be_signed_is_not_sent(fields: dict[str, str], parts: dict[str, object]) -> None:
    with pytest.raises(CannotAuthorise) as refused:
        sent(fields, **parts)
    assert refused.value.code == "credential_unusable"
    assert SECRET not in str(refused.value)


def test_secrets_have_24_to_64_bytes() -> None:
    assert key_of(secret_text(bytes(24))) == bytes(24)
    assert [key_of(text) for text in ("whsec_", "whsec_!", secret_text(bytes(23)), secret_text(bytes(65)), "x")] == [
        None
    ] * 5
