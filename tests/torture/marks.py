"""By what the checkers know a bad input again."""

import json

MARK = "bad-input-"
"""Stands in what nobody can read, and begins the id of a command that cannot be decided."""

BURIED = "buried"
"""What the keys of starts begin with whose items were not there."""


def is_bad(value: bytes) -> bool:
    """Whether an input's bytes are those of a bad input. The command that records its dead letter holds them, too."""
    if MARK.encode() not in value:
        return False
    try:
        return str(json.loads(value).get("id", "")).startswith(MARK)
    except ValueError:
        return True
