"""Things to be done to the world on behalf of a node: described here, performed by the worker.

Effect classes (design.md 5) fix what happens after a crash with unknown outcome:
pure (run again, no attempt recorded), read (run again, new attempt), idempotent (run again with the same key),
unsafe (not run again by itself: `outcome_unknown`).
"""

from typing import Any, Literal

import msgspec

EffectClass = Literal["pure", "read", "idempotent", "unsafe"]


class CredentialRef(msgspec.Struct, frozen=True, omit_defaults=True):
    """A credential of the execution's workspace by its id; `accepts`: the types of credentials that the effect can use.

    The interpreter opens it; a decider never sees more than this.
    """

    id: str
    accepts: list[str] = []


class FilePart(msgspec.Struct, frozen=True, omit_defaults=True):
    """A file of a multipart form; `data` is base64."""

    field: str
    data: str
    file_name: str
    mime_type: str


class Pages(msgspec.Struct, frozen=True, omit_defaults=True):
    """How an HTTP list goes on. One of four ways:

    link    the next page's address stands in the body at `at`, or in the header Link (rel="next") where that is empty
    cursor  what stands in the body at `at` is sent as `parameter`; nothing there: that was the last page
    number  `parameter` is raised by `step` (1), until a page is empty
    offset  `parameter` is raised by `step`, the number of items a page has, until a page is empty

    `items_at`: where the body holds the list (empty: it is the list); a page without items, or with fewer than `size`,
    is the last, unless `through_empty`: some services leave pages empty. `in_body`: `parameter` stands in the JSON
    body, not in the query. `most_items`: enough, 0 for no bound; after `most_pages` the effect fails, unless
    `stop_at_most`.
    """

    way: Literal["link", "cursor", "number", "offset"]
    parameter: str = ""
    at: str = ""
    step: int = 1
    items_at: str | None = None
    through_empty: bool = False
    size: int = 0
    in_body: bool = False
    most_pages: int = 100
    most_items: int = 0
    stop_at_most: bool = False


class HttpRequest(msgspec.Struct, frozen=True, tag="http_request", omit_defaults=True):
    """One HTTP request, with the redirects and pages that follow from it.

    At most one body: `body` as JSON, `body_text`, `form` as application/x-www-form-urlencoded (a list is a field that
    comes several times), `form` and `files` as multipart/form-data where there are `files` or `multipart` says so,
    `body_data` as bytes (base64). `response`: what is made of the answer's body, by its content type where `auto`.
    `delay_seconds`: it is sent so long after its attempt began. `timeout_seconds`: for all of it, the delay included;
    `exchange_seconds`: without the delay, if that is less. `proxy`: an http address. `credential`: authenticates it,
    when it is sent. `then`: requests that follow, in the same effect.
    """

    method: str
    url: str
    query: dict[str, Any] = {}
    headers: dict[str, str] = {}
    body: Any = None
    body_text: str | None = None
    form: dict[str, Any] | None = None
    files: list[FilePart] = []
    multipart: bool = False
    body_data: str | None = None
    response: Literal["auto", "json", "text", "binary"] = "auto"
    timeout_seconds: float = 30.0
    exchange_seconds: float | None = None
    delay_seconds: float = 0.0
    follow_redirects: bool = True
    max_redirects: int = 10
    max_response_bytes: int = 5_000_000
    proxy: str = ""
    verify_tls: bool = True
    pages: Pages | None = None
    credential: CredentialRef | None = None
    then: list["HttpStep"] = []


class HttpStep(msgspec.Struct, frozen=True, omit_defaults=True):
    """A request that follows where the one before it was answered well (a status below 400).

    `url_at`: where the answers so far say its address; `fill`: place in its JSON body → where the answers say what
    stands there. Answers are numbered from 0: `0.upload_url`. Where none says it, nothing follows. The answer is the
    last one's; only the last request is what may have happened, those before it must leave nothing behind that counts.
    """

    request: HttpRequest
    url_at: str = ""
    fill: dict[str, str] = {}


class SqlQuery(msgspec.Struct, frozen=True, tag="sql_query", omit_defaults=True):
    """One statement with its values bound ($1, $2, …), in a transaction of its own; `credential` says where.

    The answer: `{"rows": [{column: value}], "count": rows that it gave or changed}`; `rows` is null where it gives none
    by its nature. More rows or bytes are an error, and what the statement did is undone.
    """

    statement: str
    arguments: list[Any] = []
    read_only: bool = False
    credential: CredentialRef | None = None
    timeout_seconds: float = 30.0
    max_rows: int = 10_000
    max_bytes: int = 5_000_000


class RedisCommand(msgspec.Struct, frozen=True, tag="redis_command", omit_defaults=True):
    """One command; the answer is `{"reply": …}`. `scan`: SCAN goes on by its cursor until it has so many keys."""

    command: list[str]
    scan: int | None = None
    credential: CredentialRef | None = None
    timeout_seconds: float = 30.0
    max_bytes: int = 5_000_000


class Attachment(msgspec.Struct, frozen=True, omit_defaults=True):
    """`content`: in Base64."""

    filename: str
    content: str
    content_type: str = "application/octet-stream"


class SendMail(msgspec.Struct, frozen=True, tag="send_mail", omit_defaults=True):
    """One mail by the server that `credential` names, from its address unless `sender` is given.

    Its Message-ID is made of the effect's key, the same in every attempt. The answer:
    `{"message_id", "accepted": [address], "refused": {address: reason}}`. `login_only`: nothing is sent, the server is
    only tried out.
    """

    to: list[str]
    subject: str
    sender: str = ""
    text: str | None = None
    html: str | None = None
    cc: list[str] = []
    bcc: list[str] = []
    reply_to: str = ""
    headers: dict[str, str] = {}
    attachments: list[Attachment] = []
    login_only: bool = False
    credential: CredentialRef | None = None
    timeout_seconds: float = 60.0


Effect = HttpRequest | SqlQuery | RedisCommand | SendMail
"""The union of all effects; it grows with the integrations."""


class HttpResponse(msgspec.Struct, frozen=True, tag="http_response", omit_defaults=True):
    """What came back. `body` is decoded JSON where the content type says so, else text; `binary`: a file in its place.

    `earlier`: of a list with pages, the bodies of the pages before this one. `missing`: what a request that should have
    followed would have needed of the answers.
    """

    status: int
    headers: dict[str, str] = {}
    body: Any = None
    binary: dict[str, Any] | None = None
    earlier: list[Any] = []
    missing: str = ""


class EffectError(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why there is no result. `unknown`: the effect may have happened (sent, no answer)."""

    code: str
    message: str
    retriable: bool = True
    unknown: bool = False
    retry_after_seconds: float | None = None


class ItemResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """One item's result: `value` is what the effect returned (an HttpResponse as a plain dict), or `error`."""

    index: int
    value: Any = None
    error: EffectError | None = None


class PerformAttempt(msgspec.Struct, frozen=True, tag="perform_attempt"):
    """Perform one attempt of a node run: one effect an item, side by side, results back as ConcludeAttempt.

    Starts only after the commit that holds its NodeAttempted event is accepted and not after `start_by` (owner's time,
    ms); then it is given back as AttemptNotStarted. `keys[i]` is the idempotency key of `effects[i]`.
    """

    execution_id: str
    node: str
    run: int
    attempt: int
    effect_class: EffectClass
    indexes: list[int]
    effects: list[Effect]
    keys: list[str]
    start_by: int
    timeout_seconds: float


class Compute(msgspec.Struct, frozen=True, tag="compute"):
    """A pure run too heavy for the owner: done by `compute_run` in the compute pool, back as ConcludeCompute."""

    execution_id: str
    node: str
    run: int


class WakeAt(msgspec.Struct, frozen=True, tag="wake_at"):
    """A short wait: the owner passes time at `due` (owner's time, ms) by its own timer, not by a tick."""

    execution_id: str
    due: int


class TryCredential(msgspec.Struct, frozen=True, tag="try_credential"):
    """Try out a credential of type `kind` by `effect`, which carries a reference to it; back as ConcludeTest.

    Nobody repeats it after a crash: who asked is told that no answer came.
    """

    credential_id: str
    test_id: str
    kind: str
    effect: Effect


class ExchangeCode(msgspec.Struct, frozen=True, tag="exchange_code"):
    """Exchange a provider's code for tokens, at most once; back as StoreTokens or EndConnection.

    `sealed`: `code` and `verifier` as ciphertext; `generation`: of the tokens there are.
    """

    credential_id: str
    state_id: str
    sealed: dict[str, str]
    redirect_uri: str
    generation: int


CredentialWork = TryCredential | ExchangeCode
EffectRequest = PerformAttempt | Compute | WakeAt | CredentialWork
