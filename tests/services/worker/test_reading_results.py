"""What a compute process sends is read part by part, and what is known of its JSON is not encoded again."""

from typing import Any

import msgspec
import pytest

from domain.encoded import Encoded
from domain.execution.commands import ConcludeCompute
from domain.execution.compute import PART_ITEMS, Result, compute_job, compute_run
from domain.execution.events import NodeCompleted
from schemas import registry
from schemas.errors import UnencodableRecord
from schemas.nesting import MAX_RECORD_DEPTH
from schemas.payloads import BlobCollector
from services.worker.computing import OUTPUTS_DEPTH, _read
from tests.support.executions import Run, computed, node, workflow


def filtering(count: int, **more: Any) -> tuple[Run, Result]:
    """A run that waits for the compute pool, and what the pool makes of it."""
    parameters = {"condition": "{{ $json.n % 3 !== 0 }}"}
    document = workflow([node("start", "manual"), node("big", "filter", parameters)], "start -> big")
    run = Run(document).start([{"n": n, "name": f'item {n} \u00e4\\"', **more} for n in range(count)])
    assert run.state is not None
    assert run.document is not None
    job = compute_job(run.state, "big", 0, run.graph)
    assert job is not None
    return run, compute_run(run.document, job)


@pytest.mark.parametrize("count", [2_700, 7 * PART_ITEMS + 1, 10_003])
async def test_parts_make_the_whole(count: int) -> None:
    run, result = filtering(count)
    output = await _read(result)
    assert output == computed(result)
    assert isinstance(output.ports, Encoded)
    assert output.ports.json == msgspec.json.encode(dict(output.ports))
    assert len(output.ports["main"]) == sum(n % 3 != 0 for n in range(count))
    run.do(ConcludeCompute(node="big", run=0, result=output))
    event = next(each for each in run.events if isinstance(each, NodeCompleted) and each.node == "big")
    assert isinstance(event.outputs, Encoded)
    plain = NodeCompleted(node="big", run=0, outputs=dict(event.outputs), sources=event.sources)
    known, encoded = BlobCollector("w"), BlobCollector("w")
    assert registry.encode_event(event, spill=known) == registry.encode_event(plain, spill=encoded)
    assert known.blobs == encoded.blobs != {}
    assert registry.encode_event(event) == registry.encode_event(plain)


async def test_a_small_result_is_encoded_with_its_event() -> None:
    _, result = filtering(1_200)
    small = [result[0].replace(b'"main":2', b'"main":1'), result[1][:200].rpartition(b"},{")[0] + b"}]"]
    assert type((await _read(small)).ports) is dict


async def test_what_is_nested_too_deep_is_found_as_ever() -> None:
    deep: Any = 1
    for _ in range(MAX_RECORD_DEPTH - OUTPUTS_DEPTH - 3):  # with its items, item and json it just fits
        deep = [deep]
    for fits, value in ((True, deep), (False, [deep])):
        _, result = filtering(1_001, deep=value)
        event = NodeCompleted(node="big", run=0, outputs=(await _read(result)).ports)
        if fits:
            registry.encode_event(event, spill=BlobCollector("w"))
        else:
            with pytest.raises(UnencodableRecord):
                registry.encode_event(event, spill=BlobCollector("w"))
