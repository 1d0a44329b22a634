"""What the functions of strings share."""

from domain.expressions.numbers import WHITE_SPACE, parse_number
from domain.expressions.scope import Scope


def words_of(scope: Scope, text: str) -> list[str]:
    """Runs of letters and digits, also where the case changes: `orderID-no2` has order, ID, no2."""
    scope.charge(1 + (len(text) >> 3))
    words: list[str] = []
    word = ""
    for place, char in enumerate(text):
        if not char.isalnum():
            if word and char != "'":
                words.append(word)
                word = ""
            continue
        following = text[place + 1 : place + 2]
        starts = char.isupper() and word and (not word[-1].isupper() or following.islower())
        if starts:
            words.append(word)
            word = ""
        word += char
    return [*words, word] if word else words


def is_numeric(scope: Scope, text: str) -> bool:
    """Whether a text is a finite number as JavaScript writes it."""
    scope.charge_scan(len(text))
    number = parse_number(text)
    return bool(text.strip(WHITE_SPACE)) and number == number and abs(number) != float("inf")  # noqa: PLR0124
