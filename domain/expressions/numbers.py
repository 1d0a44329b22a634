"""JavaScript's numbers: their text, and numbers from text."""

import math
import re
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Final

from domain.expressions.errors import RANGE, ExpressionError
from domain.expressions.values import INFINITY, MAX_SAFE, NAN

WHITE_SPACE: Final = "\t\n\v\f\r \xa0\ufeff\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(
    map(chr, range(0x2000, 0x200B))
)
_DECIMAL = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_FLOAT_PREFIX = re.compile(r"[+-]?(?:Infinity|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)", re.ASCII)
_RADIX: Final = {"x": 16, "o": 8, "b": 2}
_DIGITS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"
# A double has at most 1075 significant decimal digits: enough to be exact.
_EXACT = Context(prec=1200, rounding=ROUND_HALF_UP)


def to_double(number: int | float) -> float:
    """The nearest double; infinite where Python's int is larger than any."""
    try:
        return float(number)
    except OverflowError:
        return INFINITY if number > 0 else -INFINITY


def as_number(number: int | float) -> int | float:
    """The number with an int only where a double is exact."""
    if type(number) is int and not -MAX_SAFE <= number <= MAX_SAFE:
        return to_double(number)
    return number


def format_number(number: int | float) -> str:
    """The number as JavaScript prints it."""
    if type(number) is int and -MAX_SAFE <= number <= MAX_SAFE:
        return str(number)
    double = to_double(number)
    if double != double:  # noqa: PLR0124 - only NaN differs from itself
        return "NaN"
    if math.isinf(double):
        return "Infinity" if double > 0 else "-Infinity"
    shown = repr(double)
    if "e" not in shown:
        return _plain_zero(shown.removesuffix(".0"))
    return _with_exponent(shown)


def _plain_zero(shown: str) -> str:
    return "0" if shown == "-0" else shown


def _with_exponent(shown: str) -> str:
    """Python switches to exponents at 1e16 and 1e-5, JavaScript at 1e21 and 1e-7."""
    mantissa, _, power = shown.partition("e")
    sign = "-" if mantissa.startswith("-") else ""
    whole, _, fraction = mantissa.lstrip("-").partition(".")
    fraction = fraction if fraction != "0" else ""
    digits, exponent = whole + fraction, int(power)
    if 0 <= exponent < 21:
        return sign + digits.ljust(exponent + 1, "0")
    if -7 < exponent + 0 < 0:
        return f"{sign}0.{'0' * (-exponent - 1)}{digits}"
    tail = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{tail}e{'+' if exponent > 0 else '-'}{abs(exponent)}"


def parse_number(text: str) -> int | float:
    """JavaScript's Number(text)."""
    text = text.strip(WHITE_SPACE)
    if not text:
        return 0
    if text.isascii() and text.isdigit() and len(text) < 16:
        return int(text)
    if text[0] == "0" and len(text) > 2 and text[1].lower() in _RADIX:
        return _parse_radix(text[2:], _RADIX[text[1].lower()])
    if _DECIMAL.fullmatch(text):
        return float(text)
    if text in {"Infinity", "+Infinity"}:
        return INFINITY
    return -INFINITY if text == "-Infinity" else NAN


def _parse_radix(digits: str, radix: int) -> int | float:
    value = parse_digits(digits, radix)
    return NAN if value is None else value


def parse_digits(digits: str, radix: int) -> int | float | None:
    """Digits and nothing else, or None."""
    allowed = _DIGITS[:radix]
    if not digits or any(digit not in allowed for digit in digits.lower()):
        return None
    if len(digits) > 1100:
        return INFINITY
    if radix == 10:
        return as_number(int(digits)) if len(digits) < 16 else float(digits)
    return as_number(int(digits, radix))


def parse_int_prefix(text: str, radix: int) -> int | float:
    """JavaScript's parseInt; `radix` 0 means by prefix."""
    text = text.lstrip(WHITE_SPACE)
    negative = text.startswith("-")
    text = text[1:] if text[:1] in {"+", "-"} else text
    if radix not in range(37) or radix == 1:
        return NAN
    if radix in {0, 16} and text[:2].lower() == "0x":
        text, radix = text[2:], 16
    radix = radix or 10
    allowed = _DIGITS[:radix]
    end = 0
    while end < len(text) and text[end].lower() in allowed:
        end += 1
    value = parse_digits(text[:end], radix)
    if value is None:
        return NAN
    return (-value if value else -0.0) if negative else value


def parse_float_prefix(text: str) -> int | float:
    """JavaScript's parseFloat."""
    match = _FLOAT_PREFIX.match(text.lstrip(WHITE_SPACE))
    return parse_number(match.group()) if match else NAN


def to_int32(number: int | float) -> int:
    """The low 32 bits, signed."""
    return ((to_integer(number) + 0x80000000) & 0xFFFFFFFF) - 0x80000000


def to_integer(number: int | float) -> int:
    """Truncated towards zero; NaN and infinities are 0."""
    if type(number) is int:
        return number
    return int(number) if math.isfinite(number) else 0


def clamp_integer(number: int | float, low: int, high: int) -> int:
    """Truncated towards zero and held between two bounds; NaN is 0."""
    if number != number:  # noqa: PLR0124
        number = 0
    if number <= low:
        return low
    return high if number >= high else int(number)


def to_fixed(number: int | float, digits: int) -> str:
    """JavaScript's toFixed: exact decimal value, ties away from zero."""
    if not 0 <= digits <= 100:
        raise ExpressionError(RANGE, "toFixed takes 0 to 100 digits")
    double = to_double(number)
    if not math.isfinite(double) or abs(double) >= 1e21:
        return format_number(double)
    rounded = Decimal(double).quantize(Decimal(1).scaleb(-digits), context=_EXACT)
    shown = f"{rounded:f}"
    # JavaScript keeps the sign of a negative number that rounds to zero, but -0 itself prints as 0.
    return shown.removeprefix("-") if double == 0 else shown


def to_precision(number: int | float, digits: int) -> str:
    """JavaScript's toPrecision."""
    double = to_double(number)
    if not math.isfinite(double):
        return format_number(double)
    if not 1 <= digits <= 100:
        raise ExpressionError(RANGE, "toPrecision takes 1 to 100 digits")
    sign, shown, exponent = _significant(double, digits)
    if exponent < -6 or exponent >= digits:
        return sign + _exponential(shown, exponent)
    if exponent == digits - 1:
        return sign + shown
    if exponent >= 0:
        return f"{sign}{shown[: exponent + 1]}.{shown[exponent + 1 :]}"
    return f"{sign}0.{'0' * (-exponent - 1)}{shown}"


def to_exponential(number: int | float, digits: int | None) -> str:
    """JavaScript's toExponential; None means as many digits as needed."""
    double = to_double(number)
    if not math.isfinite(double):
        return format_number(double)
    if digits is None:
        digits = len(Decimal(repr(double)).normalize().as_tuple().digits) - 1
    if not 0 <= digits <= 100:
        raise ExpressionError(RANGE, "toExponential takes 0 to 100 digits")
    sign, shown, exponent = _significant(double, digits + 1)
    return sign + _exponential(shown, exponent)


def _significant(double: float, digits: int) -> tuple[str, str, int]:
    sign = "-" if double < 0 else ""
    if double == 0:
        return "", "0" * digits, 0
    exact = abs(Decimal(double))
    exponent = exact.adjusted()
    rounded = exact.quantize(Decimal(1).scaleb(exponent - digits + 1), context=_EXACT)
    if rounded.adjusted() > exponent:
        exponent += 1
        rounded = exact.quantize(Decimal(1).scaleb(exponent - digits + 1), context=_EXACT)
    return sign, "".join(map(str, rounded.as_tuple().digits)), exponent


def _exponential(digits: str, exponent: int) -> str:
    tail = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{digits[0]}{tail}e{'+' if exponent >= 0 else '-'}{abs(exponent)}"


def to_radix(number: int | float, radix: int) -> str:
    """JavaScript's toString(radix), fractions with as many digits as tell the double from its neighbours."""
    if not 2 <= radix <= 36:
        raise ExpressionError(RANGE, "toString takes a radix from 2 to 36")
    double = to_double(number)
    if radix == 10 or not math.isfinite(double):
        return format_number(number)
    sign, double = ("-" if double < 0 else ""), abs(double)
    whole = math.floor(double)
    fraction, carried = _fraction_digits(double, double - whole, radix)
    whole += carried
    shown = _whole_digits(whole, radix)
    return f"{sign}{shown}.{fraction}" if fraction else sign + shown


def _whole_digits(whole: int, radix: int) -> str:
    zeros, double = 0, float(whole)
    while double >= MAX_SAFE:
        double /= radix
        zeros += 1
    rest, digits = int(double), ""
    while rest or not digits:
        rest, digit = divmod(rest, radix)
        digits = _DIGITS[digit] + digits
    return digits + "0" * zeros


def _fraction_digits(double: float, fraction: float, radix: int) -> tuple[str, int]:
    """The digits behind the point, and what they carry into the whole part."""
    delta = max(math.ulp(0.0), 0.5 * (math.nextafter(double, INFINITY) - double))
    digits: list[int] = []
    while fraction >= delta:
        fraction *= radix
        delta *= radix
        digit = int(fraction)
        digits.append(digit)
        fraction -= digit
        if (fraction > 0.5 or (fraction == 0.5 and digit & 1)) and fraction + delta > 1:
            while digits and digits[-1] + 1 == radix:
                digits.pop()
            if not digits:
                return "", 1
            digits[-1] += 1
            break
    return "".join(_DIGITS[digit] for digit in digits), 0
