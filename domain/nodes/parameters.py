"""Parameters of node types: their schema, their validation, and what they become when a workflow is compiled."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any, Literal

from domain.effects import CredentialRef
from domain.expressions import UNDEFINED, Compiled, ExpressionError, Scope, compile_value
from domain.nodes.failures import BAD_PARAMETER, NodeFailure

Kind = Literal["text", "number", "integer", "boolean", "any", "object", "list", "rows"]

_NAMES: dict[Kind, str] = {
    "text": "text",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "any": "any value",
    "object": "an object",
    "list": "a list",
    "rows": "a list of objects",
}
_JSON_TYPES: dict[Kind, str] = {"text": "string", "rows": "array", "list": "array"}


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter. `expression`: it may hold `{{ … }}`. `rows` are lists of objects with the parameters `of`.

    `longest`: characters of a text; `literal`: it is taken as it stands, `{{` and all.
    """

    name: str
    kind: Kind
    docs: str
    required: bool = False
    default: Any = None
    expression: bool = True
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    longest: int = 1_000_000
    of: tuple["Parameter", ...] = ()
    literal: bool = False

    def mismatch(self, value: Any) -> str | None:
        """Why a plain value does not fit, or None."""
        if not _fits(self.kind, value):
            return f"must be {_NAMES[self.kind]}"
        if self.kind == "text" and len(value) > self.longest:
            return f"must have at most {self.longest:,} characters"
        if self.choices and value not in self.choices:
            return f"must be one of {', '.join(self.choices)}"
        if self.kind in {"number", "integer"}:
            if self.minimum is not None and value < self.minimum:
                return f"must be at least {self.minimum:g}"
            if self.maximum is not None and value > self.maximum:
                return f"must be at most {self.maximum:g}"
        return None

    def json_schema(self) -> dict[str, Any]:
        """The parameter as JSON Schema, for editors and generated documentation."""
        schema: dict[str, Any] = {"description": self.docs}
        if self.kind != "any":
            schema["type"] = _JSON_TYPES.get(self.kind, self.kind)
        if self.choices:
            schema["enum"] = list(self.choices)
        if self.default is not None:
            schema["default"] = self.default
        if self.minimum is not None:
            schema["minimum"] = self.minimum
        if self.maximum is not None:
            schema["maximum"] = self.maximum
        if self.kind == "rows":
            schema["items"] = schema_of(self.of)
        if self.expression and self.kind not in {"any", "text", "rows"}:
            return {"description": self.docs, "anyOf": [schema, {"type": "string", "pattern": r"\{\{"}]}
        return schema


def schema_of(parameters: tuple[Parameter, ...]) -> dict[str, Any]:
    """JSON Schema of an object that has these parameters and no others."""
    return {
        "type": "object",
        "properties": {parameter.name: parameter.json_schema() for parameter in parameters},
        "required": [parameter.name for parameter in parameters if parameter.required],
        "additionalProperties": False,
    }


def _fits(kind: Kind, value: Any) -> bool:
    match kind:
        case "any":
            return True
        case "text":
            return isinstance(value, str)
        case "number":
            return type(value) is int or (type(value) is float and isfinite(value))
        case "integer":
            return type(value) is int or (type(value) is float and value.is_integer())
        case "boolean":
            return isinstance(value, bool)
        case "object":
            return isinstance(value, dict)
        case "list" | "rows":
            return isinstance(value, list)


Complain = Callable[[str, str], None]
"""Notes a problem: path below the parameters (like `rules[1].output`), and what is wrong with it."""


class Parameters:
    """The parameters of one node, checked against their schema and compiled.

    Everything wrong is noted by `complain`; what is wrong reads as its default, so that binding can go on.
    """

    __slots__ = (
        "_compiled", "_complain", "_given", "_path", "_rows", "_schema", "_values", "credential", "references",
        "sources",
    )  # fmt: skip

    def __init__(
        self,
        schema: tuple[Parameter, ...],
        values: Mapping[str, Any],
        complain: Complain,
        path: str = "",
        credential: CredentialRef | None = None,
    ) -> None:
        self._complain = complain
        self._path = path
        self._schema = {parameter.name: parameter for parameter in schema}
        self._given = values
        self._values: dict[str, Any] = {}
        self._compiled: dict[str, Compiled] = {}
        self._rows: dict[str, list[Parameters]] = {}
        self.credential = credential
        """The credential that the node names, for its effects."""
        self.references: set[str] = set()
        self.sources: list[Compiled] = []
        for name in values:
            if name not in self._schema:
                known = ", ".join(self._schema) or "none"
                self._note(str(name)[:100], f"unknown parameter; known are: {known}")
        for parameter in schema:
            self._read(parameter, values.get(parameter.name))

    def _note(self, name: str, message: str) -> None:
        self._complain(f"{self._path}{name}", message)

    def _read(self, parameter: Parameter, value: Any) -> None:
        if value is None:
            if parameter.required:
                self._note(parameter.name, f"is missing: {parameter.docs}")
        elif parameter.kind == "rows":
            self._read_rows(parameter, value)
        elif not parameter.expression:
            self._read_plain(parameter, value)
        else:
            self._read_expression(parameter, value)

    def _read_rows(self, parameter: Parameter, value: Any) -> None:
        if not isinstance(value, list):
            self._note(parameter.name, "must be a list of objects")
            return
        rows = []
        for index, entry in enumerate(value):
            if isinstance(entry, dict):
                path = f"{self._path}{parameter.name}[{index}]."
                row = Parameters(parameter.of, entry, self._complain, path)
                self.references |= row.references
                self.sources += row.sources
                rows.append(row)
            else:
                self._note(f"{parameter.name}[{index}]", "must be an object")
        self._rows[parameter.name] = rows

    def _read_plain(self, parameter: Parameter, value: Any) -> None:
        wrong = parameter.mismatch(value)
        if wrong is None and isinstance(value, str) and "{{" in value and not parameter.literal:
            wrong = "takes no expression: give a plain value"
        if wrong is not None:
            self._note(parameter.name, wrong)
            return
        self._values[parameter.name] = value

    def _read_expression(self, parameter: Parameter, value: Any) -> None:
        try:
            compiled = compile_value(value)
        except ExpressionError:
            for where, error in _broken(value, parameter.name):
                self._note(where, f"the expression cannot be used: {error.message}")
            return
        if compiled.constant:
            wrong = parameter.mismatch(value)
            if wrong is not None:
                self._note(parameter.name, wrong)
                return
            self._values[parameter.name] = value
        elif not isinstance(value, str) and not _fits(parameter.kind, value):
            self._note(parameter.name, f"must be {_NAMES[parameter.kind]}")
            return
        self.references |= compiled.references
        self.sources.append(compiled)
        self._compiled[parameter.name] = compiled

    def refuse(self, name: str, message: str) -> None:
        """Note that a parameter cannot be accepted, for a reason of the node type's own."""
        self._note(name, message)

    def knows(self, name: str) -> bool:
        """Whether there is such a parameter (a type with variants has others for each)."""
        return name in self._schema

    def given(self, name: str) -> bool:
        return name in self._compiled or name in self._values or name in self._rows

    def plain(self, name: str) -> Any:
        """The value of a parameter that holds no expression, or its default."""
        return self._values.get(name, self._schema[name].default)

    def source(self, name: str) -> Any:
        """The parameter as it stands in the document, expressions and all, or its default."""
        return self._given[name] if self.given(name) else self._schema[name].default

    def rows(self, name: str) -> list["Parameters"]:
        return self._rows.get(name, [])

    def compiled(self, name: str) -> Compiled:
        """The parameter as it was compiled, its default if it was not given; its type is not checked."""
        return self._compiled.get(name) or compile_value(self._schema[name].default)

    def evaluator(self, name: str) -> Callable[[Scope], Any]:
        """A function that evaluates the parameter and checks its type. It raises ExpressionError or NodeFailure."""
        parameter = self._schema[name]
        compiled = self._compiled.get(name)
        if compiled is None or compiled.constant:
            constant = self.plain(name)
            return lambda _scope: constant
        where = f"{self._path}{name}"

        def evaluate(scope: Scope) -> Any:
            value = compiled.evaluate_json(scope)
            if value is UNDEFINED or (value is None and not parameter.required):
                value = parameter.default
                if not parameter.required:
                    return value
            wrong = parameter.mismatch(value)
            if wrong is not None:
                raise NodeFailure(BAD_PARAMETER, f"parameter {where!r} {wrong}, not {str(value)[:100]!r}")
            return value

        return evaluate


def _broken(value: Any, path: str) -> Iterator[tuple[str, ExpressionError]]:
    """The places in a value whose expressions do not compile."""
    if isinstance(value, dict):
        for name, entry in value.items():
            yield from _broken(entry, f"{path}.{name}")
    elif isinstance(value, list):
        for index, entry in enumerate(value):
            yield from _broken(entry, f"{path}[{index}]")
    else:
        try:
            compile_value(value)
        except ExpressionError as error:
            yield path, error
