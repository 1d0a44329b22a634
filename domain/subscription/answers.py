"""What a delivery's failure says of the receiver's answer: written by the node that sends it, read by its log."""

import re
from typing import Any

_ANSWERED = re.compile(r"the server answered ([1-5]\d\d)\b")


def answered(status: int, excerpt: str) -> str:
    """The message of a failure by status."""
    return f"the server answered {status}: {excerpt}"


def status_in(output: list[dict[str, Any]], message: str) -> int:
    """The status of the last answer: in a delivery's output, or in the message of its failure; 0: there is none."""
    status = output[0].get("json", {}).get("status") if output else None
    if isinstance(status, int):
        return status
    found = _ANSWERED.match(message)
    return int(found[1]) if found is not None else 0
