"""What a webhook node says of its deliveries: dedup, throttle, debounce, read from its parameters, and what they make
of one delivery.

{"dedup": {"key": "{{ $json.body.id }}", "ttl_seconds": 86400},
 "throttle": {"limit": 10, "period_seconds": 60, "key": "{{ $json.body.customer }}", "excess": "refuse" | "delay"},
 "debounce": {"seconds": 5, "key": "{{ $json.body.customer }}", "max_wait_seconds": 60}}

Keys are expressions of the closed language over the delivery's item; `throttle` and `debounce` without one take all
deliveries of the endpoint together.
"""

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final, Literal, NamedTuple

from domain.expressions import UNDEFINED, Compiled, ExpressionError, Scope, compile_value
from domain.inbox.gates import MOST_PER_PERIOD, MOST_SECONDS, Debounce, Dedup, Gates, Throttle

FIELDS: Final = ("dedup", "throttle", "debounce")
LONGEST_KEY: Final = 10_000
_KEY_STEPS: Final = 20_000
"""Of an evaluation: it happens in the API, which others wait for."""
_KNOWN_NAMES: Final = frozenset({"$json", "$input", "$item", "$now", "$today", "$itemIndex"})

Problems = list[tuple[str, str]]
Key = Compiled | None


class DedupRule(NamedTuple):
    key: Compiled
    ttl: int


class ThrottleRule(NamedTuple):
    key: Key
    limit: int
    period: int
    excess: Literal["refuse", "delay"]


class DebounceRule(NamedTuple):
    key: Key
    quiet: int
    most: int | None


class KeyFailed(Exception):
    """A key has no value for this delivery. `parameter`: which one."""

    code = "delivery_key_failed"

    def __init__(self, parameter: str, why: str) -> None:
        super().__init__(f"{parameter}: {why}")
        self.parameter = parameter


class Rules(NamedTuple):
    """Of one webhook node of one version."""

    dedup: DedupRule | None = None
    throttle: ThrottleRule | None = None
    debounce: DebounceRule | None = None

    @property
    def gated(self) -> bool:
        return any(rule is not None for rule in self)

    def gates(self, item: Any, now: int) -> Gates:
        """What a delivery with this json has to pass. `now`: ms. Raises KeyFailed."""
        dedup, throttle, debounce = self
        scope = Scope(item, items=[{"json": item}], now=now, step_limit=_KEY_STEPS)
        return Gates(
            Dedup(_hash("dedup.key", dedup.key, scope), dedup.ttl) if dedup else None,
            Throttle(_hash("throttle.key", throttle.key, scope), throttle.limit, throttle.period, throttle.excess)
            if throttle
            else None,
            Debounce(_hash("debounce.key", debounce.key, scope), debounce.quiet, debounce.most) if debounce else None,
        )


class Read(NamedTuple):
    """`problems` name the fields; what is wrong is left out of the rules."""

    rules: Rules
    problems: Problems


def read_rules(given: Mapping[str, Any]) -> Read:
    """Of the parameters of a webhook node."""
    problems: Problems = []
    rules = Rules(_dedup(given, problems), _throttle(given, problems), _debounce(given, problems))
    if given.get("throttle") is not None and given.get("debounce") is not None:
        problems.append(("debounce", "cannot stand beside throttle: one of them decides when an execution begins"))
    if given.get("respond", "at_once") != "at_once":
        later = "the execution begins later, so nobody can wait for its answer: use respond at_once"
        if rules.debounce is not None:
            problems.append(("debounce", later))
        if rules.throttle is not None and rules.throttle.excess == "delay":
            problems.append(("throttle.excess", f"with delay {later}"))
    return Read(rules, problems)


def _dedup(given: Mapping[str, Any], problems: Problems) -> DedupRule | None:
    fields = _Fields.of(given, "dedup", ("key", "ttl_seconds"), problems)
    if fields is None:
        return None
    key, ttl = fields.key(required=True), fields.number("ttl_seconds", 86_400, 1, MOST_SECONDS)
    return DedupRule(key, _ms(ttl)) if key is not None and ttl is not None else None


def _throttle(given: Mapping[str, Any], problems: Problems) -> ThrottleRule | None:
    fields = _Fields.of(given, "throttle", ("limit", "period_seconds", "key", "excess"), problems)
    if fields is None:
        return None
    key = fields.key()
    limit = fields.number("limit", None, 1, MOST_PER_PERIOD, whole=True)
    period = fields.number("period_seconds", None, 1, MOST_SECONDS)
    excess = fields.values.get("excess", "refuse")
    if excess not in ("refuse", "delay"):
        fields.wrong("excess", "must be one of refuse, delay")
    if limit is None or period is None:
        return None
    return ThrottleRule(key, int(limit), _ms(period), "delay" if excess == "delay" else "refuse")


def _debounce(given: Mapping[str, Any], problems: Problems) -> DebounceRule | None:
    fields = _Fields.of(given, "debounce", ("seconds", "key", "max_wait_seconds"), problems)
    if fields is None:
        return None
    key, quiet = fields.key(), fields.number("seconds", None, 0.1, 86_400)
    most = None
    if fields.values.get("max_wait_seconds") is not None:
        most = fields.number("max_wait_seconds", None, 0.1, MOST_SECONDS)
    if quiet is None:
        return None
    if most is not None and most < quiet:
        fields.wrong("max_wait_seconds", "must not be shorter than seconds")
    return DebounceRule(key, _ms(quiet), None if most is None else _ms(most))


def _ms(seconds: float) -> int:
    return round(seconds * 1_000)


class _Fields:
    """The fields of one of the three objects."""

    def __init__(self, name: str, values: Mapping[str, Any], problems: Problems) -> None:
        self.name = name
        self.values = values
        self._problems = problems

    @staticmethod
    def of(given: Mapping[str, Any], name: str, known: tuple[str, ...], problems: Problems) -> "_Fields | None":
        value = given.get(name)
        if value is None:
            return None
        if not isinstance(value, dict):
            problems.append((name, f"must be an object with {', '.join(known)}"))
            return None
        fields = _Fields(name, value, problems)
        for field in value:
            if field not in known:
                fields.wrong(str(field)[:100], f"unknown field; known are: {', '.join(known)}")
        return fields

    def wrong(self, field: str, message: str) -> None:
        self._problems.append((f"{self.name}.{field}", message))

    def number(
        self, field: str, default: float | None, least: float, most: float, *, whole: bool = False
    ) -> float | None:
        """None, and a problem noted, if it is not one."""
        value = self.values.get(field, default)
        if type(value) not in {int, float} or not least <= value <= most or (whole and value != int(value)):
            kind = "a whole number" if whole else "a number"
            self.wrong(field, f"must be {kind} from {least:g} to {most:g}")
            return None
        number: float = value
        return number

    def key(self, *, required: bool = False) -> Key:
        value = self.values.get("key")
        if value is None:
            if required:
                self.wrong("key", "is missing: an expression such as {{ $json.body.id }}")
            return None
        if not isinstance(value, str) or not 0 < len(value) <= LONGEST_KEY:
            self.wrong("key", f"must be text of at most {LONGEST_KEY:,} characters with an expression")
            return None
        try:
            compiled = compile_value(value)
        except ExpressionError as error:
            self.wrong("key", f"the expression cannot be used: {error.message}")
            return None
        wrong = _unfit(compiled)
        if wrong is not None:
            self.wrong("key", wrong)
            return None
        return compiled


def _unfit(key: Compiled) -> str | None:
    if key.constant:
        return "is the same for every delivery: use an expression such as {{ $json.body.id }}"
    if key.foreign:
        return "needs the sandbox, which does not run before there is an execution: use simpler expressions"
    if key.references or "$" in key.names:
        return "no node has run when this is evaluated; it may use $json only"
    unknown = sorted(name for name in key.names if name.startswith("$") and name not in _KNOWN_NAMES)
    return f"{', '.join(unknown)} is not known when this is evaluated; it may use $json only" if unknown else None


def _hash(parameter: str, key: Key, scope: Scope) -> str:
    """Keys are compared, not shown: what stands in them may be personal. Raises KeyFailed."""
    if key is None:
        return "00"
    try:
        value = key.evaluate_json(scope)
    except ExpressionError as error:
        raise KeyFailed(parameter, error.message) from None
    if value is UNDEFINED or value is None or value == "":
        raise KeyFailed(parameter, f"{key.source} has no value for this delivery")
    if type(value) is float and value.is_integer():
        value = int(value)  # 1 and 1.0 are one number in JSON
    text = json.dumps(value, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return sha256(text.encode()).hexdigest()[:32]
