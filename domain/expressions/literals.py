"""Closures of array, object and template literals."""

from typing import TYPE_CHECKING, Any

from domain.expressions import utf16
from domain.expressions.conversions import iterate, own_entries, to_key, to_text
from domain.expressions.fast import Run
from domain.expressions.scope import Scope
from domain.expressions.syntax import ArrayLiteral, Literal, Node, ObjectLiteral, Spread, Template
from domain.expressions.values import UNDEFINED, Value, forbidden, is_forbidden

if TYPE_CHECKING:
    from domain.expressions.compiler import Compiler


def elements(compiler: "Compiler", nodes: list[Node]) -> Run:
    """A closure that gives a fresh list of the elements, spreads opened."""
    if not any(isinstance(node, Spread) for node in nodes):
        runs = [compiler.compile(node) for node in nodes]
        return lambda scope, frame: [run(scope, frame) for run in runs]
    parts = [_element(compiler, node) for node in nodes]

    def run_spread(scope: Scope, frame: Any = None) -> list[Value]:
        items: list[Value] = []
        for run, spread in parts:
            value = run(scope, frame)
            if spread is None:
                items.append(value)
            else:
                more = iterate(value, scope, spread)
                scope.charge_elements(len(items) + len(more))
                items.extend(more)
        return items

    return run_spread


def _element(compiler: "Compiler", node: Node) -> tuple[Run, str | None]:
    if isinstance(node, Spread):
        return compiler.compile(node.value), compiler.text(node.value)
    return compiler.compile(node), None


def array(compiler: "Compiler", node: ArrayLiteral) -> Run:
    return elements(compiler, node.items)


def object_literal(compiler: "Compiler", node: ObjectLiteral) -> Run:
    if all(isinstance(entry.key, Literal) for entry in node.entries):
        pairs = [
            (to_key(entry.key.value), compiler.compile(entry.value))
            for entry in node.entries
            if isinstance(entry.key, Literal)
        ]
        return lambda scope, frame: {key: run(scope, frame) for key, run in pairs}
    return _computed_object(compiler, node)


def _computed_object(compiler: "Compiler", node: ObjectLiteral) -> Run:
    parts = [
        (None if entry.key is None else compiler.compile(entry.key), compiler.compile(entry.value))
        for entry in node.entries
    ]

    def run(scope: Scope, frame: Any = None) -> Value:
        result: dict[str, Value] = {}
        for key, item in parts:
            if key is not None:
                name = to_key(key(scope, frame), scope)
                if is_forbidden(name):
                    raise forbidden(name)
                result[name] = item(scope, frame)
            else:
                value = item(scope, frame)
                if value is not None and value is not UNDEFINED:
                    result.update(own_entries(value, scope))
                    scope.charge_elements(len(result))
        return result

    return run


def template(compiler: "Compiler", node: Template) -> Run:
    if not node.expressions:
        return compiler.constant(node.strings[0])
    head, *tails = node.strings
    parts = [(compiler.compile(inner), tail) for inner, tail in zip(node.expressions, tails, strict=True)]

    def run(scope: Scope, frame: Any = None) -> str:
        texts = [head]
        for inner, tail in parts:
            value = inner(scope, frame)
            texts.append(value if type(value) is str else to_text(value, scope))
            texts.append(tail)
        joined = "".join(texts)
        if len(joined) > 1024:
            scope.charge_text(len(joined))
        return utf16.narrow(joined)

    return run
