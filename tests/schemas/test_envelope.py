"""Where streams live, and what headers say."""

import pytest

from schemas.envelope import Epoch, header, partition_of


@pytest.mark.parametrize(
    ("stream", "of_8", "of_1024"),
    [
        ("execution-c1d1a9f0-1f0b-4a9e-9f2d-6f1f2d6d5e31", 6, 126),
        ("workflow-7d7a2c04-93b1-4a0f-8a58-0a3c0f7a9e21", 3, 171),
        ("workspace-0b9a6c1e-5f1d-4a38-9d53-3f6d1f0c7a11", 0, 32),
    ],
)
def test_a_stream_never_moves(stream: str, of_8: int, of_1024: int) -> None:
    assert (partition_of(stream, 8), partition_of(stream, 1024), partition_of(stream, 1)) == (of_8, of_1024, 0)


def test_streams_spread_evenly() -> None:
    places = [partition_of(f"execution-{number:032x}", 8) for number in range(8000)]
    assert all(800 < places.count(place) < 1200 for place in range(8))


@pytest.mark.parametrize("epoch", [Epoch(0, "a"), Epoch(2**40, "n:0:nce")])
def test_an_epoch_comes_back_from_its_header(epoch: Epoch) -> None:
    assert Epoch.of_header(epoch.header()) == epoch


def test_a_header_is_found_by_its_name() -> None:
    headers = (("k", b"m"), ("w", b"w1"), ("w", b"w2"))
    assert (header(headers, "w"), header(headers, "x")) == (b"w1", None)
