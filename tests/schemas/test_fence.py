"""Which records count: the fence, against a slow and obvious reading of the rule."""

import random

import pytest

from schemas.envelope import KIND_COMMAND, KIND_COMMIT, KIND_TAKEOVER, KIND_TICK, Epoch, Headers
from schemas.fence import Fence, GapInLog


def takeover(nonce: bytes) -> Headers:
    return (("k", KIND_TAKEOVER), ("o", nonce))


def commit(epoch: bytes, n: bytes) -> Headers:
    return (("w", b"w1"), ("n", n), ("k", KIND_COMMIT), ("e", epoch))


def accepted(*records: Headers) -> list[bool]:
    fence = Fence()
    return [fence.accept(offset, headers) for offset, headers in enumerate(records)]


def test_commits_of_the_latest_epoch_count_in_their_order() -> None:
    assert accepted(takeover(b"a"), commit(b"0:a", b"0"), commit(b"0:a", b"1"), commit(b"0:a", b"2")) == [
        False, True, True, True,
    ]  # fmt: skip


def test_nothing_counts_before_the_first_takeover() -> None:
    assert accepted(commit(b"0:a", b"0"), commit(b"", b"0")) == [False, False]


def test_an_old_epoch_never_counts_again() -> None:
    records = [takeover(b"a"), takeover(b"b"), commit(b"0:a", b"0"), commit(b"1:b", b"0"), commit(b"0:a", b"1")]
    assert accepted(*records) == [False, False, False, True, False]


def test_a_hole_in_the_ordinals_voids_all_that_follows() -> None:
    records = [takeover(b"a"), commit(b"0:a", b"0"), commit(b"0:a", b"2"), commit(b"0:a", b"3"), commit(b"0:a", b"1")]
    assert accepted(*records) == [False, True, False, False, True]


def test_a_commit_that_landed_twice_counts_once() -> None:
    assert accepted(takeover(b"a"), commit(b"0:a", b"0"), commit(b"0:a", b"0")) == [False, True, False]


def test_the_same_offset_with_another_nonce_is_another_epoch() -> None:
    assert accepted(takeover(b"a"), commit(b"0:b", b"0")) == [False, False]


@pytest.mark.parametrize(
    "garbage",
    [
        (),
        (("k", KIND_COMMIT),),
        commit(b"0:a", b"x"),
        commit(b"0:a", b" 1"),
        commit(b"0:a", b"01"),
        commit(b"\xff", b"1"),
        (("k", KIND_TAKEOVER),),
        takeover(b"\xff\xfe"),
        (("k", KIND_COMMAND), ("e", b"0:a"), ("n", b"1")),
        (("k", KIND_TICK),),
        (("k", b"?"), ("e", b"0:a"), ("n", b"1")),
    ],
)
def test_garbage_is_void_and_disturbs_nothing(garbage: Headers) -> None:
    assert accepted(takeover(b"a"), commit(b"0:a", b"0"), garbage, commit(b"0:a", b"1")) == [False, True, False, True]


def test_a_stored_place_goes_on() -> None:
    fence = Fence(next_offset=10, epoch=Epoch(3, "a"), next_n=5)
    assert not fence.accept(10, commit(b"3:a", b"4"))
    assert fence.accept(11, commit(b"3:a", b"5"))
    assert (fence.next_offset, fence.epoch, fence.next_n) == (12, Epoch(3, "a"), 6)


@pytest.mark.parametrize("offset", [0, 4, 6, 100])
def test_a_missing_or_repeated_record_is_an_error(offset: int) -> None:
    fence = Fence(next_offset=5)
    with pytest.raises(GapInLog) as gap:
        fence.accept(offset, takeover(b"a"))
    assert (gap.value.expected, gap.value.found, fence.next_offset) == (5, offset, 5)


def naive(records: list[Headers]) -> list[bool]:
    """For each record: is it a commit of the last takeover before it, and the next after those that counted?"""
    result: list[bool] = []
    for place, headers in enumerate(records):
        values = dict(headers)
        takeovers = [at for at in range(place) if dict(records[at])["k"] == KIND_TAKEOVER]
        if values["k"] != KIND_COMMIT or not takeovers:
            result.append(False)
            continue
        latest = takeovers[-1]
        epoch = b"%d:%s" % (latest, dict(records[latest])["o"])
        counted = sum(result[latest:])
        result.append(values["e"] == epoch and values["n"] == b"%d" % counted)
    return result


@pytest.mark.parametrize("seed", range(30))
def test_the_fence_agrees_with_the_rule_on_random_logs(seed: int) -> None:
    choose = random.Random(seed)
    records: list[Headers] = []
    writers: list[list[object]] = []
    for offset in range(120):
        if not writers or choose.random() < 0.08:
            nonce = choose.choice([b"a", b"b"])
            writers.append([b"%d:%s" % (offset, nonce), 0])
            records.append(takeover(nonce))
            continue
        writer = writers[-1] if choose.random() < 0.8 else choose.choice(writers)
        epoch, n = writer
        assert isinstance(epoch, bytes)
        assert isinstance(n, int)
        records.append(commit(epoch, b"%d" % (n if choose.random() < 0.9 else choose.randrange(n + 2))))
        if choose.random() < 0.95:
            writer[1] = n + 1
    assert accepted(*records) == naive(records)
    assert any(naive(records))
