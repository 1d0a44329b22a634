"""Parameter values of workflow documents: constants, `{{ }}` expressions, texts with expressions in them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, final

from domain.expressions import utf16
from domain.expressions.compiler import Compiler
from domain.expressions.errors import LIMIT, SYNTAX, UNSUPPORTED, ExpressionError
from domain.expressions.fast import Run
from domain.expressions.foreign import Foreign, read_foreign
from domain.expressions.json_text import text_in_template, to_json
from domain.expressions.limits import MAX_DATA_DEPTH, MAX_SOURCE, too_deep
from domain.expressions.parser import Parser
from domain.expressions.scope import Scope
from domain.expressions.syntax import Member, Name, Node
from domain.expressions.values import UNDEFINED, Function, JsonValue, Value

_OPEN: Final = "{{"
_CLOSE: Final = "}}"
_NO_NAMES: Final[frozenset[str]] = frozenset()


@final
class Compiled:
    """A parameter value that is ready to be evaluated.

    `evaluate(scope)` gives a language value (UNDEFINED possible; `to_json` makes it fit for storing);
    `evaluate_json(scope)` gives it as JSON, and UNDEFINED where it is undefined or a function. Both raise
    ExpressionError. `constant`: no expression in it, the scope is not looked at. `references`: node ids named
    literally in `$('id')`. `names`: the global names used (`$json`, `Math`, …). `foreign`: the expressions in it that
    the sandbox evaluates (foreign.py). `source`: the value as it was in the document.
    """

    __slots__ = ("constant", "evaluate", "evaluate_json", "foreign", "names", "references", "source")

    def __init__(
        self,
        source: JsonValue,
        evaluate: Callable[[Scope], Value],
        evaluate_json: Callable[[Scope], JsonValue],
        *,
        constant: bool = False,
        references: frozenset[str] = _NO_NAMES,
        names: frozenset[str] = _NO_NAMES,
        foreign: tuple[str, ...] = (),
    ) -> None:
        self.foreign = foreign
        self.source = source
        self.evaluate = evaluate
        self.evaluate_json = evaluate_json
        self.constant = constant
        self.references = references
        self.names = names


def compile_value(value: JsonValue) -> Compiled:
    """Compile any JSON parameter value; every string in it that has `{{ }}` becomes an expression.

    A string that is one `{{ … }}` and nothing else keeps its value's type; a text around it makes a string. Raises
    ExpressionError with the position in the string that does not parse.
    """
    builder = _Builder()
    run = builder.build(value, 0)
    if run is None:
        return _constant(value)
    references, names = frozenset(builder.references), frozenset(builder.names)
    if builder.plain:
        return Compiled(value, _plain(run), _plain_json(run), references=references, names=names)
    evaluate = _bounded(run)
    foreign = tuple(dict.fromkeys(builder.foreign))
    return Compiled(value, evaluate, _json(evaluate), references=references, names=names, foreign=foreign)


def _plain(run: Run) -> Callable[[Scope], Value]:
    """A path needs no budget and has its frame by default."""
    return run  # type: ignore[return-value]


def _plain_json(run: Run) -> Callable[[Scope], JsonValue]:
    evaluate = _plain(run)

    def evaluate_json(scope: Scope) -> JsonValue:
        value = evaluate(scope)
        return UNDEFINED if type(value) is Function else value

    return evaluate_json


def _json(evaluate: Callable[[Scope], Value]) -> Callable[[Scope], JsonValue]:
    def evaluate_json(scope: Scope) -> JsonValue:
        value = evaluate(scope)
        return UNDEFINED if value is UNDEFINED or type(value) is Function else to_json(value)

    return evaluate_json


def _constant(value: JsonValue) -> Compiled:
    def evaluate(_scope: Scope) -> JsonValue:
        return value

    return Compiled(value, evaluate, evaluate, constant=True)


def _bounded(run: Run) -> Callable[[Scope], Value]:
    """One evaluation with its budget. What Python cannot hold is a limit, too."""

    def evaluate(scope: Scope) -> Value:
        scope.steps = scope.step_limit
        scope.depth = 0
        scope.matches = None
        try:
            return run(scope, None)
        except RecursionError:
            raise too_deep() from None
        except (MemoryError, OverflowError):
            raise ExpressionError(LIMIT, "the expression makes values that are too large") from None

    return evaluate


@dataclass(frozen=True, slots=True)
class _Piece:
    """One `{{ }}` of a text; `start`: behind its braces."""

    node: Node | Foreign
    start: int


class _Builder:
    """Walks one parameter value. None stands for a constant part."""

    def __init__(self) -> None:
        self.references: set[str] = set()
        self.names: set[str] = set()
        self.foreign: list[str] = []
        self.plain = False  # nothing but a path into the item: its value is JSON already

    def build(self, value: JsonValue, depth: int) -> Run | None:
        if depth > MAX_DATA_DEPTH:
            raise too_deep()
        if type(value) is str:
            return self._text(value, top=depth == 0) if _OPEN in value else None
        if type(value) is dict:
            return self._mapping(value, depth)
        if type(value) is list:
            return self._sequence(value, depth)
        return None

    def _mapping(self, value: dict[str, JsonValue], depth: int) -> Run | None:
        built = {key: self.build(item, depth + 1) for key, item in value.items()}
        if not any(built.values()):
            return None
        runs = [(key, run) for key, run in built.items() if run is not None]

        def run_mapping(scope: Scope, frame: Any = None) -> Value:
            result = dict(value)
            for key, run in runs:
                result[key] = run(scope, frame)
            return result

        return run_mapping

    def _sequence(self, value: list[JsonValue], depth: int) -> Run | None:
        built = [self.build(item, depth + 1) for item in value]
        if not any(built):
            return None
        runs = [(place, run) for place, run in enumerate(built) if run is not None]

        def run_sequence(scope: Scope, frame: Any = None) -> Value:
            result = list(value)
            for place, run in runs:
                result[place] = run(scope, frame)
            return result

        return run_sequence

    def _text(self, text: str, *, top: bool) -> Run | None:
        parts = _parse_text(text)
        if all(isinstance(part, str) for part in parts):
            return None
        compiler = Compiler(text)
        runs = [part if isinstance(part, str) else self._compiled(compiler, text, part) for part in parts]
        self.references |= compiler.references
        self.names |= compiler.names
        only, first = runs[0], parts[0]
        if len(runs) == 1 and not isinstance(only, str):
            self.plain = top and isinstance(first, _Piece) and _is_path(first.node)
            return only
        return _joined(runs)

    def _compiled(self, compiler: Compiler, text: str, piece: _Piece) -> Run:
        """The closure of one `{{ }}`; what the compiler does not cover becomes foreign, too."""
        node = piece.node
        if not isinstance(node, Foreign):
            try:
                return compiler.compile(node)
            except RecursionError:
                raise too_deep() from None
            except ExpressionError as error:
                if error.code != UNSUPPORTED:
                    raise
                node = read_foreign(text, piece.start, error.message)
        self.foreign.append(node.source)
        self.references |= node.references
        self.names |= node.names
        return node.run


def _is_path(node: Node | Foreign) -> bool:
    """Static members of `$json`: no step can be anything but JSON, except methods taken as values."""
    if not isinstance(node, Member):
        return False
    while isinstance(node, Member):
        node = node.object
    return isinstance(node, Name) and node.name == "$json"


def _joined(parts: list[str | Run]) -> Run:
    def run(scope: Scope, frame: Any = None) -> str:
        texts = [part if isinstance(part, str) else text_in_template(part(scope, frame), scope) for part in parts]
        joined = "".join(texts)
        if len(joined) > 1024:
            scope.charge_text(len(joined))
        return utf16.narrow(joined)

    return run


def _parse_text(text: str) -> list[str | _Piece]:
    """The pieces of a text. Without a closing `}}` it is plain text."""
    parts: list[str | _Piece] = []
    position = 0
    while (opening := text.find(_OPEN, position)) >= 0 and text.find(_CLOSE, opening) >= 0:
        if len(text) > MAX_SOURCE:
            raise ExpressionError(LIMIT, f"a text with expressions has more than {MAX_SOURCE:,} characters")
        if opening > position:
            parts.append(text[position:opening])
        node, position = _parse_expression(text, opening + 2)
        parts.append(_Piece(node, opening + 2))
    if position < len(text) or not parts:
        parts.append(text[position:])
    return parts


def _parse_expression(text: str, start: int) -> tuple[Node | Foreign, int]:
    """One expression and where its closing braces end."""
    parser = Parser(text, start)
    try:
        if parser.peek().kind == "}":
            parser.fail("{{ }} is empty", start, SYNTAX)
        node = parser.expression()
        token = parser.peek()
        if token.kind != "}" or not text.startswith(_CLOSE, token.start):
            parser.unexpected(token, "'}}' expected")
    except RecursionError:
        raise too_deep() from None
    except ExpressionError as error:
        if error.code != UNSUPPORTED:
            raise
        foreign = read_foreign(text, start, error.message)
        return foreign, foreign.end
    return node, token.start + 2
