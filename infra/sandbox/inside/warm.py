"""What a sandbox loads before the first user's code, so that no run waits for it."""

import contextlib
import importlib
import sys

LIBRARY = (
    "base64", "binascii", "bisect", "calendar", "collections", "copy", "csv", "dataclasses", "datetime", "decimal",
    "difflib", "enum", "fractions", "functools", "hashlib", "heapq", "hmac", "html", "io", "itertools", "json", "math",
    "numbers", "operator", "random", "re", "statistics", "string", "textwrap", "time", "traceback", "typing",
    "unicodedata", "urllib.parse", "uuid", "zlib", "zoneinfo",
)  # fmt: skip
"""Modules of the standard library that Python code finds loaded; others are imported when it asks for them."""


ENGINES = "/engines"


def load() -> None:
    """Import them, and the short-code JavaScript engine."""
    for place in (__file__.rpartition("/")[0], ENGINES):
        if place not in sys.path:
            sys.path.append(place)
    for name in LIBRARY:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    importlib.import_module("lockdown")
    importlib.import_module("wire")
    importlib.import_module("quick")
    importlib.import_module("python_code")


if __name__ == "__main__":
    load()
