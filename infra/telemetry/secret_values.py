"""Hides known secrets in whatever text they turn up, also where they were encoded on the way.

`infra.telemetry.redaction` hides what looks like a secret; this hides the very values, in plain text, base64 (at any
offset), hex, URL-, JSON- and HTML-escaped. Effect interpreters use it on everything that they give back, logs on every
line.
"""

import base64
import html
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

from infra.telemetry.redaction import HIDDEN

SHORTEST = 4
"""Shorter secrets are not looked for: they stand in every text."""
_SHORTEST_PART = 8
"""Of an encoded piece, or of a secret that was cut off at the end of a text."""


class SecretValues:
    """Hides `secrets` (those that are too short are left out)."""

    __slots__ = ("_forms", "_starts")

    def __init__(self, secrets: Iterable[str]) -> None:
        forms = {form for secret in secrets if len(secret) >= SHORTEST for form in encodings(secret)}
        self._forms = sorted(forms, key=len, reverse=True)
        self._starts = frozenset(form[:_SHORTEST_PART] for form in forms if len(form) > _SHORTEST_PART)

    def __bool__(self) -> bool:
        return bool(self._forms)

    def hide(self, text: str) -> str:
        """The text without the secrets; one that the end of the text cuts off is hidden as well."""
        # Looking for one form after the other is a hundred times faster than one pattern of them all.
        for form in self._forms:
            if form in text:
                text = text.replace(form, HIDDEN)
        return self._without_cut_off(text) if self._forms else text

    def hide_in(self, value: Any) -> Any:
        """The JSON value with the secrets hidden in its texts, names of fields too."""
        if not self._forms:
            return value
        match value:
            case str():
                return self.hide(value)
            case Mapping():
                return {self.hide(str(name)): self.hide_in(each) for name, each in value.items()}
            case list() | tuple():
                return [self.hide_in(each) for each in value]
            case bytes():
                return self.hide(value.decode("utf-8", "replace"))
            case _:
                return value

    def _without_cut_off(self, text: str) -> str:
        longest = len(self._forms[0])
        tail = text[-longest:]
        for place in range(len(tail) - _SHORTEST_PART + 1):
            rest = tail[place:]
            if rest[:_SHORTEST_PART] in self._starts and any(form.startswith(rest) for form in self._forms):
                return text[: len(text) - len(rest)] + HIDDEN
        return text


def encodings(secret: str) -> set[str]:
    """The forms in which a secret turns up in texts."""
    raw = secret.encode("utf-8", "surrogatepass")
    escaped = json.dumps(secret)[1:-1]
    forms = {
        secret,
        raw.hex(),
        raw.hex().upper(),
        quote(secret, safe=""),
        quote(secret),
        quote_plus(secret),
        escaped,
        json.dumps(secret, ensure_ascii=False)[1:-1],
        json.dumps(escaped)[1:-1],
        escaped.replace("/", "\\/"),
        html.escape(secret),
        repr(secret)[1:-1],
    }
    forms |= {re.sub(r"%[0-9A-F]{2}", lambda found: found[0].lower(), form) for form in list(forms) if "%" in form}
    for offset in range(3):
        forms |= {piece for piece in _in_base64(raw, offset) if len(piece) >= min(_SHORTEST_PART, len(raw))}
    return {form for form in forms if len(form) >= SHORTEST}


def _in_base64(raw: bytes, offset: int) -> tuple[str, str]:
    """What base64, standard and URL-safe, makes of `raw` behind `offset` bytes, without what depends on neighbours."""
    first = (0, 2, 3)[offset]
    last = (offset + len(raw)) * 8 // 6
    standard, safe = (encode(b"\0" * offset + raw).decode() for encode in (base64.b64encode, base64.urlsafe_b64encode))
    return standard[first:last], safe[first:last]


class RecentSecrets:
    """Secrets that this process has used lately, for its logs: the newest `most` credentials."""

    def __init__(self, most: int = 200) -> None:
        self._most = most
        self._values: dict[str, tuple[str, ...]] = {}
        self._hiding = SecretValues(())
        self._stale = False

    def use(self, owner: str, secrets: Iterable[str]) -> None:
        """`owner` uses these now (they take the place of those that it used before)."""
        values = tuple(secrets)
        if self._values.get(owner) == values:
            return
        self._values.pop(owner, None)
        self._values[owner] = values
        while len(self._values) > self._most:
            del self._values[next(iter(self._values))]
        self._stale = True

    def hide(self, text: str) -> str:
        return self._known().hide(text)

    def hide_in(self, value: Any) -> Any:
        """As `SecretValues.hide_in`; of other objects, like exceptions, their text."""
        known = self._known()
        if not known or isinstance(value, str | Mapping | list | tuple | bytes | int | float | None):
            return known.hide_in(value)
        return known.hide(str(value))

    def _known(self) -> SecretValues:
        if self._stale:
            self._hiding = SecretValues(secret for values in self._values.values() for secret in values)
            self._stale = False
        return self._hiding


RECENT = RecentSecrets()
