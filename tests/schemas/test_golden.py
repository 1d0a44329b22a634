"""Golden records decode, for ever, into what they meant when they were written."""

import json
from pathlib import Path

import pytest

from schemas.fence import Fence
from schemas.registry import COMMANDS, EVENTS
from tests.golden.files import ENVELOPES, EXPECTED, decoded, expectation, read, records, wire_name


def test_every_name_and_version_has_a_golden_record() -> None:
    written = {wire_name(path) for path in records()}
    entries = [*EVENTS.entries.values(), *COMMANDS.entries.values()]
    assert written >= {(entry.name, version) for entry in entries for version in range(1, entry.version + 1)}
    assert written >= {(name, 1) for name in ENVELOPES}


def test_every_golden_record_is_of_a_name_that_is_still_known() -> None:
    assert {wire_name(path)[0] for path in records()} <= {*EVENTS.entries, *COMMANDS.entries, *ENVELOPES}


@pytest.mark.parametrize("path", records(), ids=lambda path: path.stem)
def test_a_golden_record_decodes_into_what_it_meant(path: Path) -> None:
    assert expectation(decoded(path)) == json.loads((EXPECTED / path.name).read_text(encoding="utf-8"))


def test_the_fence_reads_the_golden_headers() -> None:
    headers = {wire_name(path)[0]: read(path)[0] for path in records()}
    fence = Fence(next_offset=17)
    assert not fence.accept(17, headers["envelope.takeover"])
    for n in range(5):
        commit = tuple((name, b"%d" % n if name == "n" else value) for name, value in headers["envelope.commit"])
        assert fence.accept(18 + n, commit)
    assert not fence.accept(23, headers["envelope.tick"])
    assert fence.accept(24, headers["envelope.commit"])
    assert not fence.accept(25, headers["envelope.commit"])
