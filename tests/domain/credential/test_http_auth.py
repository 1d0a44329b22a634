"""What each type of credentials adds to an HTTP request, whom it is shown to, and the words of Digest and OAuth 2."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from domain.credential import oauth2
from domain.credential.digest import answer_challenge, find_challenge
from domain.credential.http_auth import CannotAuthorise, authorised, host_allowed
from domain.credential.types import CREDENTIAL_TYPES, CredentialType, HttpAuth
from domain.effects import HttpRequest

REQUEST = HttpRequest(
    "GET", "https://api.example.com/v1", headers={"authorization": "mine", "x": "1"}, query={"q": "1"}
)


@pytest.mark.parametrize(
    ("type_", "fields", "headers", "query"),
    [
        ("http_bearer", {"token": "t"}, {"x": "1", "Authorization": "Bearer t"}, {"q": "1"}),
        ("http_basic", {"user": "ü", "password": "p:w"}, {"x": "1", "Authorization": "Basic w7w6cDp3"}, {"q": "1"}),
        ("http_header", {"name": "X", "value": "k"}, {"authorization": "mine", "X": "k"}, {"q": "1"}),
        ("http_query", {"name": "key", "value": "k&"}, REQUEST.headers, {"q": "1", "key": "k&"}),
        ("http_digest", {"user": "u", "password": "p"}, REQUEST.headers, {"q": "1"}),
        (
            "http_custom",
            {"headers": '{"X-Id":"i","X-Key":"k"}', "query": '{"sig":"s"}'},
            {**REQUEST.headers, "X-Id": "i", "X-Key": "k"},
            {"q": "1", "sig": "s"},
        ),
        ("oauth2", {"access_token": "at"}, {"x": "1", "Authorization": "Bearer at"}, {"q": "1"}),
    ],
)
def test_what_a_type_adds(type_: str, fields: dict[str, str], headers: dict[str, str], query: dict[str, str]) -> None:
    made = authorised(REQUEST, CREDENTIAL_TYPES[type_], fields, at=0)
    assert (made.headers, made.query) == (headers, query)
    assert made.url == REQUEST.url


def test_what_cannot_be_sent_is_refused_without_its_value() -> None:
    for name, fields in (("http_bearer", {"token": "a\r\nX: y"}), ("http_header", {"name": "X", "value": "→secret"})):
        with pytest.raises(CannotAuthorise) as refused:
            authorised(REQUEST, CREDENTIAL_TYPES[name], fields, at=0)
        assert refused.value.code == "credential_unusable"
        assert "secret" not in refused.value.message
    with pytest.raises(CannotAuthorise, match="nobody has connected"):
        authorised(REQUEST, CREDENTIAL_TYPES["oauth2"], {}, at=0)


@pytest.mark.parametrize(
    ("host", "allowed", "fits"),
    [
        ("api.example.com", "api.example.com", True),
        ("API.Example.com.", "api.example.com", True),
        ("a.b.example.com", "*.example.com", True),
        ("example.com", "*.example.com", False),
        ("evil-example.com", "*.example.com", False),
        ("example.com.evil.org", "*.example.com", False),
        ("example.com.evil.org", "example.com", False),
        (".example.com", "*.example.com", False),
        ("", "*.example.com", False),
        ("", "", False),
    ],
)
def test_whom_it_is_shown_to(host: str, allowed: str, fits: bool) -> None:
    assert host_allowed(host, [allowed]) is fits


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example.org/",
        "https://api.example.com@evil.example.org/",
        "https://api.example.com.evil.example.org/",
        "https://evil.example.org/api.example.com",
        "https://evil.example.org#api.example.com",
        "https://evil.example.org\\@api.example.com\\",
        "http://[::1]/",
        "https://[api.example.com/",
    ],
)
def test_other_hosts_never_see_it(url: str) -> None:
    fields = {"token": "t", "allowed_hosts": "api.example.com, *.example.net"}
    request = HttpRequest("GET", url)
    with pytest.raises(CannotAuthorise) as refused:
        authorised(request, CREDENTIAL_TYPES["http_bearer"], fields, at=0)
    assert refused.value.code == "credential_host_refused"


def test_a_service_may_be_elsewhere_but_nothing_else_sees_its_key() -> None:
    auth = HttpAuth(headers={"Authorization": "Bearer {key}"}, service=("https://api.example.com/v1", "base_url"))
    type_ = CredentialType("example", "Example", "", (), auth)

    def url_of(url: str, fields: dict[str, str]) -> str:
        return authorised(HttpRequest("GET", url), type_, {"key": "k", **fields}, at=0).url

    assert url_of("https://api.example.com/v1/chat", {}) == "https://api.example.com/v1/chat"
    assert url_of("https://api.example.com/v1/chat", {"base_url": "http://own:9/x/"}) == "http://own:9/x/chat"
    assert url_of("http://own:9/x/chat?page=2", {"base_url": "http://own:9/x"}) == "http://own:9/x/chat?page=2"
    for url in ("https://api.example.com/v1.evil/", "https://api.example.com/v2", "http://own:9/xy", "http://own:8/x/"):
        with pytest.raises(CannotAuthorise):
            url_of(url, {"base_url": "http://own:9/x"})


def test_digest_answers_as_in_the_rfc() -> None:
    """The worked examples of RFC 7616, 3.9.1."""
    shared = (
        'realm="http-auth@example.org", qop="auth, auth-int", nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", '
        'opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
    )
    header = f"Digest {shared}, algorithm=MD5, Digest {shared}, algorithm=SHA-256"
    expected = {
        "MD5": "8ca523f5e9506fed4657c9700eebdbec",
        "SHA-256": "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
    }
    strongest = find_challenge(header)
    assert strongest is not None
    assert strongest["algorithm"] == "SHA-256"
    for algorithm, response in expected.items():
        value = answer_challenge(
            {**strongest, "algorithm": algorithm},
            method="GET",
            url="http://www.example.org/dir/index.html",
            user="Mufasa",
            password="Circle of Life",
            client_nonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
        )
        assert f'response="{response}"' in value
        assert 'uri="/dir/index.html"' in value
        assert "Circle" not in value


@pytest.mark.parametrize("header", ["", "Basic realm=x", 'Digest realm="x"', 'Digest nonce="n", algorithm=ROT13'])
def test_what_is_no_challenge_is_not_answered(header: str) -> None:
    assert find_challenge(header) is None


def test_the_consent_address_has_the_proof_and_not_its_key() -> None:
    plain = {"client_id": "c", "scope": "read write", "authorize_url": "https://id.example/allow?tenant=1"}
    address = oauth2.authorize_address(plain, redirect_uri="https://l.example/cb", state="st", verifier="v" * 43)
    asked = parse_qs(urlsplit(address).query)
    assert asked["tenant"] == ["1"]
    assert asked["scope"] == ["read write"]
    assert asked["code_challenge_method"] == ["S256"]
    assert asked["state"] == ["st"]
    assert "v" * 43 not in address
    # the example of RFC 7636, appendix B
    assert oauth2.challenge_of("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk") == (
        "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
    )


def test_token_requests() -> None:
    fields = {"client_id": "c d", "client_secret": "s:%", "token_url": "https://id.example/t", "refresh_token": "r"}
    renewal = oauth2.renewal_request(fields)
    assert renewal is not None
    assert renewal.headers["Authorization"] == "Basic YytkOnMlM0ElMjU="
    assert parse_qs(renewal.body_text or "") == {"grant_type": ["refresh_token"], "refresh_token": ["r"]}
    body = oauth2.renewal_request(
        {**fields, "client_authentication": "body", "grant": "client_credentials", "scope": "a"}
    )
    assert body is not None
    assert "Authorization" not in body.headers
    assert parse_qs(body.body_text or "") == {
        "grant_type": ["client_credentials"], "scope": ["a"], "client_id": ["c d"], "client_secret": ["s:%"],
    }  # fmt: skip
    assert not body.follow_redirects
    assert oauth2.renewal_request({**fields, "refresh_token": ""}) is None


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (200, {"access_token": "a", "expires_in": 60}, oauth2.Tokens("a", None, 60)),
        (
            200,
            {"access_token": "a", "expires_in": "60", "refresh_token": "r", "scope": "s"},
            oauth2.Tokens("a", "r", 60, "s"),
        ),
        (200, {"access_token": "a", "token_type": "Bearer"}, oauth2.Tokens("a")),
        (200, {"access_token": "a", "token_type": "mac"}, None),
        (200, {"access_token": 7}, None),
        (200, "text", None),
        (500, {"error": "server_error"}, None),
    ],
)
def test_what_a_provider_answers(status: int, body: Any, expected: oauth2.Tokens | None) -> None:
    read = oauth2.read_tokens({"status": status, "headers": {}, "body": body})
    assert read == expected if expected else isinstance(read, oauth2.TokensRefused)


def test_only_an_invalid_grant_is_final_and_nothing_else_is_repeated() -> None:
    refused = oauth2.read_tokens({"status": 400, "body": {"error": "invalid_grant", "error_description": "tok-123"}})
    assert isinstance(refused, oauth2.TokensRefused)
    assert refused.final
    assert "tok-123" not in refused.message
    echoed = oauth2.read_tokens({"status": 400, "body": {"error": "the secret is tok-123"}})
    assert isinstance(echoed, oauth2.TokensRefused)
    assert not echoed.final
    assert "tok" not in echoed.message
