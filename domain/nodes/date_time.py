"""`date_time`: reads, writes, moves, compares and rounds dates and times."""

from collections.abc import Callable
from typing import Any, Final

from domain.execution.events import Item, Items
from domain.expressions import ExpressionError, Scope
from domain.expressions.datetimes import DateTime
from domain.nodes.dates import UNITS, compile_pattern, difference, known_zone, parse_date, read_date, rounded
from domain.nodes.failures import BAD_PARAMETER, NodeFailure
from domain.nodes.node_type import MAIN, Example, NodeType, Operation, Pure, map_items
from domain.nodes.parameters import Parameter, Parameters
from domain.nodes.texts import field_path, with_field

PARTS: Final[dict[str, Callable[[DateTime], int]]] = {
    "year": lambda date: date.local.year,
    "quarter": lambda date: (date.local.month - 1) // 3 + 1,
    "month": lambda date: date.local.month,
    "week": lambda date: date.local.isocalendar().week,
    "day": lambda date: date.local.day,
    "hour": lambda date: date.local.hour,
    "minute": lambda date: date.local.minute,
    "second": lambda date: date.local.second,
    "millisecond": lambda date: date.local.microsecond // 1000,
    "weekday": lambda date: date.local.isoweekday(),
    "day_of_year": lambda date: date.local.timetuple().tm_yday,
    "timestamp": lambda date: date.millis,
}

Work = Callable[[Scope, str], Any]
"""What an operation computes of the scope's item, in a zone."""


def _bind(parameters: Parameters) -> Operation:
    operation = parameters.plain("operation") or "now"
    into = field_path(parameters, "into")
    zone_of = parameters.evaluator("zone")
    if parameters.compiled("zone").constant and parameters.given("zone"):
        try:
            known_zone(parameters.plain("zone"))
        except NodeFailure as failure:
            parameters.refuse("zone", failure.message.partition(": ")[2])
    if operation != "now" and not parameters.given("value"):
        parameters.refuse("value", f"is missing: {operation} needs a date")
    work = _WORK[operation](parameters)

    def compute(scope: Scope, item: Item) -> Items:
        zone = zone_of(scope)
        try:
            return [with_field(item, into, work(scope, scope.timezone if zone is None else known_zone(zone)))]
        except ExpressionError as error:
            if error.code == "expression_range":
                raise NodeFailure("bad_date", error.message) from None
            raise

    return Pure(lambda run: map_items(run, compute), weight=4)


def _date_of(parameters: Parameters, name: str = "value") -> Callable[[Scope, str], DateTime]:
    value_of = parameters.evaluator(name)
    return lambda scope, zone: read_date(value_of(scope), zone)


def _now(_parameters: Parameters) -> Work:
    return lambda scope, zone: DateTime(scope.now, zone).iso()


def _parse(parameters: Parameters) -> Work:
    pattern = parameters.plain("pattern")
    if pattern is None:
        date_of = _date_of(parameters)
        return lambda scope, zone: date_of(scope, zone).iso()
    value_of = parameters.evaluator("value")
    try:
        reader = compile_pattern(pattern)
    except ValueError as error:
        parameters.refuse("pattern", str(error))
        return _now(parameters)

    def parse(scope: Scope, zone: str) -> str:
        value = value_of(scope)
        text = str(value) if type(value) is int else value
        if not isinstance(text, str):
            raise NodeFailure("bad_date", f"{str(value)[:60]!r} is no text of the form {pattern!r}")
        return parse_date(text, reader, pattern, zone).iso()

    return parse


def _format(parameters: Parameters) -> Work:
    date_of, pattern = _date_of(parameters), parameters.plain("pattern") or "yyyy-MM-dd"
    return lambda scope, zone: date_of(scope, zone).format(pattern)


def _shift(sign: int) -> Callable[[Parameters], Work]:
    def bind(parameters: Parameters) -> Work:
        if not parameters.given("amount"):
            parameters.refuse("amount", "is missing: how many units")
        date_of, amount_of, unit = _date_of(parameters), parameters.evaluator("amount"), parameters.plain("unit")

        def shift(scope: Scope, zone: str) -> str:
            amount = amount_of(scope)
            if amount is None:
                raise NodeFailure(BAD_PARAMETER, "parameter 'amount' must be a number, not nothing")
            return date_of(scope, zone).shifted({unit: amount}, sign).iso()

        return shift

    return bind


def _difference(parameters: Parameters) -> Work:
    if not parameters.given("end"):
        parameters.refuse("end", "is missing: the date up to which is counted")
    start_of, end_of, unit = _date_of(parameters), _date_of(parameters, "end"), parameters.plain("unit")
    return lambda scope, zone: difference(start_of(scope, zone), end_of(scope, zone), unit)


def _round(parameters: Parameters) -> Work:
    date_of, unit, mode = _date_of(parameters), parameters.plain("unit"), parameters.plain("round")
    if unit == "milliseconds":
        parameters.refuse("unit", "cannot be milliseconds here: no date is finer")
    return lambda scope, zone: rounded(date_of(scope, zone), unit, mode).iso()


def _extract(parameters: Parameters) -> Work:
    date_of, part = _date_of(parameters), PARTS[parameters.plain("part")]
    return lambda scope, zone: part(date_of(scope, zone))


_WORK: Final[dict[str, Callable[[Parameters], Work]]] = {
    "now": _now,
    "parse": _parse,
    "format": _format,
    "add": _shift(1),
    "subtract": _shift(-1),
    "difference": _difference,
    "round": _round,
    "extract": _extract,
}

DATE_TIME = NodeType(
    "date_time",
    "Date & time",
    "Reads, writes, moves, compares and rounds dates. A date is ISO text (without an offset: in the zone) or a number "
    "of milliseconds since 1970. Dates are put out as ISO text in the zone. Days and more go by the calendar, "
    "hours and less by real time.",
    _bind,
    (
        Parameter(
            "operation",
            "text",
            "now; parse (text to date); format (date to text); add, subtract; difference (from value to end); "
            "round; extract (one part as a number).",
            required=True,
            expression=False,
            choices=tuple(_WORK),
        ),
        Parameter("value", "any", "The date; not for now."),
        Parameter("end", "any", "difference: the date up to which is counted."),
        Parameter("amount", "number", "add, subtract: how many units.", minimum=-1e12, maximum=1e12),
        Parameter("unit", "text", "The unit of time.", default="days", expression=False, choices=UNITS),
        Parameter(
            "pattern",
            "text",
            "parse and format: such as dd.MM.yyyy HH:mm, with yyyy yy MM M MMM MMMM dd d EEE EEEE HH H hh h a mm ss "
            "SSS ZZ (+01:00) ZZZ (+0100) X x, other letters in 'quotes'. Without it parse takes ISO, format gives "
            "yyyy-MM-dd.",
            expression=False,
            longest=200,
        ),
        Parameter(
            "round",
            "text",
            "round: to which side.",
            default="down",
            expression=False,
            choices=("down", "up", "nearest"),
        ),
        Parameter(
            "part",
            "text",
            "extract: which part; weeks by ISO 8601, weekday 1 is Monday, timestamp in ms.",
            default="year",
            expression=False,
            choices=tuple(PARTS),
        ),
        Parameter("zone", "text", "The time zone, such as Europe/Berlin; else the workflow's."),
        Parameter("into", "text", "The field that gets the result.", default="date", expression=False),
    ),
    examples=(
        Example(
            "A German date as ISO text.",
            {"operation": "parse", "value": "{{ $json.day }}", "pattern": "dd.MM.yyyy HH:mm", "zone": "Europe/Berlin"},
            [{"day": "24.12.2026 18:30"}],
            {MAIN: [{"day": "24.12.2026 18:30", "date": "2026-12-24T18:30:00.000+01:00"}]},
        ),
        Example(
            "Two weeks to pay.",
            {"operation": "add", "value": "{{ $json.sent }}", "amount": 2, "unit": "weeks", "into": "due"},
            [{"sent": "2026-02-20T09:00:00Z"}],
            {MAIN: [{"sent": "2026-02-20T09:00:00Z", "due": "2026-03-06T09:00:00.000Z"}]},
        ),
    ),
)
