"""What an integration consists of: operations, each with its parameters, its request, and how its answer is read.

    Operation(
        "get", "Get an issue", "One issue by its number.",
        get("/repos/{owner}/{repo}/issues/{number}"),
        (path("owner", docs="…"), path("repo", docs="…"), path("number", "integer", docs="…")),
        resource="issue",
    )

Each parameter says where it goes: `path`, `query`, `header`, `body`, or `local` (it only steers). Names with dots are
nested in the body; what is not given is not sent.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from domain.credential.credential_type import CredentialType
from domain.effects import CredentialRef, Effect, EffectClass
from domain.integrations.errors import Errors
from domain.integrations.pages import Pages
from domain.nodes.node_type import Example
from domain.nodes.parameters import Kind, Parameter

Place = Literal["path", "query", "header", "body", "local", "fields", "more"]
"""Where a value goes. `fields`: an object whose entries are the body's; `more`: the same, for what is not described."""

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]

CLASS_OF_METHOD: Mapping[Method, EffectClass] = {
    "GET": "read",
    "PUT": "idempotent",
    "DELETE": "idempotent",
    "POST": "unsafe",
    "PATCH": "unsafe",
}


@dataclass(frozen=True, slots=True)
class Field:
    """A parameter and where its value goes. `sent_as`: the provider's name for it; `step`: in which of the requests, 0
    the first."""

    parameter: Parameter
    place: Place
    sent_as: str
    step: int = 0


@dataclass(frozen=True, slots=True)
class OfFile:
    """In the place of a constant: the name or the size (bytes) of the item's file that the parameter `of` names."""

    fact: Literal["name", "size"]
    of: str


@dataclass(frozen=True, slots=True)
class Request:
    """The request of an operation; what stands here is sent always. `form`: the body is a form, not JSON; `file`: it is
    the item's file that this parameter names.

    `{name}` in the path is the parameter's value as one escaped segment, `{name*}` as several.
    """

    method: Method
    path: str
    query: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] = field(default_factory=dict)
    form: bool = False
    file: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """A request that follows in the same operation, where the one before it was answered well.

    `url_at`: where the answers so far say its address, which gets neither credential nor the integration's headers;
    `fill`: place in its body → where the answers say what stands there. Answers are numbered from 0: `0.upload_url`.
    """

    request: Request
    url_at: str = ""
    fill: Mapping[str, str] = field(default_factory=dict)


Values = Mapping[str, Any]
"""The evaluated parameters of one item, by name; those not given have their defaults. Under ITEM: the item itself."""

ITEM: Final = "$item"

Plan = Callable[[Values, CredentialRef | None], Effect]
"""The effect of an operation that is no HTTP request. Raises NodeFailure for values that cannot be meant."""

Read = Callable[[Any], Sequence[Any]]
"""The items' jsons in an answer, where a path does not say it."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing that an integration does.

    `items`: where the answer holds what is put out: `user` an object, `channels[]` one item an entry of a list, `[]`
    where the whole answer is the list, nothing: the whole answer; or a function. `empty`: put out where the answer has
    no body. `already`: the provider's codes that refuse because it is so already, which is no failure: an effect that
    is repeated after a crash meets its own work. `effect`: by the method unless it is given. `source`: the page of the
    provider's documentation. `then`: requests that follow; the last one is what the operation does, those before it
    must leave nothing behind that counts, as they are sent again where it fails.
    """

    name: str
    title: str
    docs: str
    request: Request | Plan
    fields: tuple[Field, ...] = ()
    resource: str = ""
    effect: EffectClass | None = None
    items: str | Read = ""
    pages: Pages | None = None
    empty: Mapping[str, Any] = field(default_factory=lambda: {"done": True})
    already: tuple[str, ...] = ()
    source: str = ""
    then: tuple[Step, ...] = ()

    @property
    def effect_class(self) -> EffectClass:
        if self.effect is not None:
            return self.effect
        decisive = self.then[-1].request if self.then else self.request
        return CLASS_OF_METHOD[decisive.method] if isinstance(decisive, Request) else "unsafe"

    @property
    def key(self) -> str:
        """`resource.name`, or the name alone."""
        return f"{self.resource}.{self.name}" if self.resource else self.name


@dataclass(frozen=True, slots=True)
class Integration:
    """One service. `base_url`: before every path; `headers`: of all requests.

    `credential`: the type of its credentials, declared beside it; `also_accepts`: names of other types that will do.
    `outputs` of its nodes are `main`. `timeout_seconds`: for one effect, unless the node says another.
    """

    type: str
    title: str
    docs: str
    operations: tuple[Operation, ...]
    credential: CredentialType | None = None
    also_accepts: tuple[str, ...] = ()
    credential_required: bool = True
    base_url: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    errors: Errors = field(default_factory=Errors)
    timeout_seconds: float = 30.0
    examples: tuple[Example, ...] = ()

    @property
    def credential_types(self) -> tuple[str, ...]:
        """The names of all types of credentials that it accepts."""
        own = (self.credential.name,) if self.credential is not None else ()
        return (*own, *self.also_accepts)


def get(path: str, **query: Any) -> Request:
    return Request("GET", path, query=query)


def post(path: str, *, form: bool = False, **body: Any) -> Request:
    return Request("POST", path, body=body, form=form)


def put(path: str, **body: Any) -> Request:
    return Request("PUT", path, body=body)


def patch(path: str, **body: Any) -> Request:
    return Request("PATCH", path, body=body)


def delete(path: str, **body: Any) -> Request:
    return Request("DELETE", path, body=body)


def upload(file: str) -> Request:
    """A POST of the bytes of the item's file that the parameter `file` names, to where a Step says."""
    return Request("POST", "", file=file)


def file_name(of: str) -> OfFile:
    return OfFile("name", of)


def file_size(of: str) -> OfFile:
    return OfFile("size", of)


def path(name: str, kind: Kind = "text", *, docs: str) -> Field:
    """A required parameter that stands in the path."""
    return Field(Parameter(name, kind, docs, required=True), "path", name)


def query(name: str, kind: Kind = "text", *, docs: str, sent_as: str = "", **more: Any) -> Field:
    return Field(Parameter(name, kind, docs, **more), "query", sent_as or name)


def header(name: str, kind: Kind = "text", *, docs: str, sent_as: str, **more: Any) -> Field:
    return Field(Parameter(name, kind, docs, **more), "header", sent_as)


def body(name: str, kind: Kind = "text", *, docs: str, sent_as: str = "", step: int = 0, **more: Any) -> Field:
    """`more`: what Parameter takes, such as `required`, `default`, `choices`."""
    return Field(Parameter(name, kind, docs, **more), "body", sent_as or name, step)


def local(name: str, kind: Kind = "text", *, docs: str, **more: Any) -> Field:
    """A parameter that is not sent as it is: a Plan uses it."""
    return Field(Parameter(name, kind, docs, **more), "local", name)


def fields(name: str, *, docs: str, **more: Any) -> Field:
    """An object whose entries become fields of the body."""
    return Field(Parameter(name, "object", docs, **more), "fields", name)


def more(docs: str = "Further fields of the request, by the names in the provider's documentation.") -> Field:
    """The parameter `more`: an object whose entries are sent beside the described ones."""
    return Field(Parameter("more", "object", docs, default={}), "more", "more")
