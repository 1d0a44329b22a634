"""Seeded random regular expressions, with texts that they have a chance to match."""

# ruff: noqa: E501 - tables

import random

_ATOMS = [
    "a", "b", "c", "A", "1", "_", " ", "é", "ß", "😀", ".", "\\d", "\\w", "\\s", "\\D", "\\W", "\\S", "[ab]", "[^a]", "[a-c]", "[\\d_]", "[^\\w]",
    "[]", "[^]", "\\n", "\\x61", "\\u0062", "\\.", "\\/", "-", "[-a]", "[a\\-c]", "[A-C]", "\\t", "[\\s\\S]", "[\\b]", "σ", "Σ", "[é-ü]",
]  # fmt: skip
_LENIENT = [
    "\\u{61}",
    "\\p{L}",
    "{",
    "]",
    "}",
    "\\c",
    "\\cA",
    "\\8",
    "\\07",
    "\\a",
    "[\\w-z]",
    "[\\c]",
    "\\k",
    "\\x",
    "\\u1",
    "a{,2}",
    "\\-",
]
_UNICODE = ["\\u{61}", "\\u{1F600}", "\\p{L}", "\\p{Lu}", "\\P{L}", "[\\p{N}é]", "[^😀]", "[😀-😂]", "\\uD83D\\uDE00"]
_EDGES = ["^", "$", "\\b", "\\B"]
_COUNTS = ["*", "+", "?", "*?", "+?", "??", "{2}", "{1,2}", "{0,2}", "{1,}", "{0,2}?", "{2,}?", "{0}", "{0,1}"]
_TEXTS = ["", "a", "b", "ab", "aab", "abc", "ABC", "aaa", "1", "12", "_", " ", "é", "É", "ß", "😀", "😂", "\n", "a\nb", "c-1", "}{", "/", "σς", "Σ", "\t", "k", "\u212a", "\u017f", "s"]  # fmt: skip


class RegexGenerator:
    """Patterns, flags and texts from one seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.groups = 0
        self.unicode = False

    def case(self) -> tuple[str, str, str]:
        """A pattern (perhaps malformed), flags, a text."""
        self.groups = 0
        flags = "".join(flag for flag in "gimsuy" if self.random.random() < (0.15 if flag == "y" else 0.3))
        self.unicode = "u" in flags
        return self.choice(3), flags, "".join(self.random.choices(_TEXTS, k=self.random.randint(0, 6)))

    def choice(self, depth: int) -> str:
        count = self.random.choice([1, 1, 1, 2, 3])
        return "|".join(self.sequence(depth) for _ in range(count))

    def sequence(self, depth: int) -> str:
        return "".join(self.term(depth) for _ in range(self.random.choice([0, 1, 1, 2, 2, 3])))

    def term(self, depth: int) -> str:
        chance = self.random.random()
        if chance < 0.08:
            return self.random.choice(_EDGES)
        if chance < 0.13 and self.groups:
            return f"\\{self.random.randint(1, self.groups + (self.random.random() < 0.1))}"
        atom = self.atom(depth)
        if self.random.random() < 0.45:
            atom += self.random.choice(_COUNTS)
        return atom

    def atom(self, depth: int) -> str:
        chance = self.random.random()
        if depth <= 0 or chance < 0.55:
            if self.random.random() < 0.1:
                return self.random.choice(_UNICODE if self.unicode else _LENIENT)
            return self.random.choice(_ATOMS)
        inner = self.choice(depth - 1)
        if chance < 0.75:
            self.groups += 1
            return f"({inner})"
        if chance < 0.8:
            self.groups += 1
            return f"(?<n{self.groups}>{inner})"
        if chance < 0.9:
            return f"(?:{inner})"
        return f"({self.random.choice(['?=', '?!', '?<=', '?<!'])}{inner})"
