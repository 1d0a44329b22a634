from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from services.in_parts import in_parts


@given(st.lists(st.text(max_size=12), max_size=40), st.integers(1, 30), st.none() | st.integers(1, 5))
def test_in_order_and_as_few_parts_as_fit(texts: list[str], most_bytes: int, most: int | None) -> None:
    parts = list(in_parts(texts, len, most_bytes, most))
    assert [text for part in parts for text in part] == texts
    for part in parts:
        assert part
        assert len(part) == 1 or sum(map(len, part)) <= most_bytes
        assert most is None or len(part) <= most
    for part, following in pairwise(parts):
        assert len(part) == most or sum(map(len, part)) + len(following[0]) > most_bytes
