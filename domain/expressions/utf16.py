"""JavaScript's view of strings: sequences of UTF-16 code units. Texts without characters beyond U+FFFF pay nothing."""

import re

_LONE = re.compile("[\ud800-\udfff]")


def widen(text: str) -> str:
    """One character for each UTF-16 code unit."""
    if text.isascii():
        return text
    encoded = text.encode("utf-16-le", "surrogatepass")
    if len(encoded) == 2 * len(text):
        return text
    units = bytearray(2 * len(encoded))
    units[0::4] = encoded[0::2]
    units[1::4] = encoded[1::2]
    return units.decode("utf-32-le", "surrogatepass")


def narrow(text: str) -> str:
    """The way back: neighbouring surrogates become the one character that they mean."""
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def length(text: str) -> int:
    """The number of UTF-16 code units."""
    if text.isascii():
        return len(text)
    return len(text.encode("utf-16-le", "surrogatepass")) >> 1


def concatenate(left: str, right: str) -> str:
    """Join two texts; a surrogate pair may come together at the seam."""
    joined = left + right
    if joined.isascii() or not left or not right:
        return joined
    if "\ud800" <= left[-1] <= "\udbff" and "\udc00" <= right[0] <= "\udfff":
        return narrow(joined)
    return joined


def less_than(left: str, right: str) -> bool:
    """Order by UTF-16 code units."""
    if left.isascii() or right.isascii():
        return left < right
    return left.encode("utf-16-be", "surrogatepass") < right.encode("utf-16-be", "surrogatepass")


def sort_key(text: str) -> bytes:
    """A key that sorts like `less_than`."""
    return text.encode("utf-16-be", "surrogatepass")


def well_formed(text: str) -> str:
    """The text with U+FFFD for each lone surrogate: those cannot be stored as UTF-8."""
    if text.isascii():
        return text
    return _LONE.sub("\ufffd", text)
