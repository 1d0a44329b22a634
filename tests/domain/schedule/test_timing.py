"""The zone rules, case by case: gaps, overlaps, what is suppressed, intervals and one-offs."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from domain.schedule.timing import ByCron, ByInterval, Once, Suppression, Timing, between, following, newest

BERLIN, NEW_YORK, HOWE, APIA, SAO_PAULO = (
    "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "America/Sao_Paulo",
)  # fmt: skip


def at(text: str, zone: str = "UTC", fold: int = 0) -> int:
    moment = datetime.fromisoformat(text)
    return int(moment.replace(tzinfo=moment.tzinfo or ZoneInfo(zone), fold=fold).timestamp() * 1_000)


def shown(timing: Timing, after: int, count: int) -> list[tuple[str, str, str]]:
    """(instant in UTC, the local time asked for, rule)"""
    found = []
    for _ in range(count):
        occurrence = following(timing, after).occurrence
        assert occurrence is not None
        moment = datetime.fromtimestamp(occurrence.due / 1_000, UTC)
        found.append((moment.strftime("%m-%dT%H:%M"), occurrence.local[5:16], occurrence.rule))
        after = occurrence.due
    return found


def suppressed(timing: Timing, after: int) -> tuple[Suppression, ...]:
    return following(timing, after).suppressed


@pytest.mark.parametrize(
    ("expression", "zone", "after", "expected"),
    [
        # a time of day in a gap: at the first instant after it
        (
            "30 2 * * *",
            NEW_YORK,
            "2026-03-08T00:00",
            [("03-08T07:00", "03-08T02:30", "gap"), ("03-09T06:30", "03-09T02:30", "")],
        ),
        (
            "30 2 * * *",
            BERLIN,
            "2026-03-29T00:00",
            [("03-29T01:00", "03-29T02:30", "gap"), ("03-30T00:30", "03-30T02:30", "")],
        ),
        (
            "15 2 * * *",
            HOWE,
            "2026-10-04T00:00",
            [("10-03T15:30", "10-04T02:15", "gap"), ("10-04T15:15", "10-05T02:15", "")],
        ),
        (
            "0 0 * * *",
            SAO_PAULO,
            "2018-11-03T12:00",
            [("11-04T03:00", "11-04T00:00", "gap"), ("11-05T02:00", "11-05T00:00", "")],
        ),
        (
            "0 9 * * *",
            APIA,
            "2011-12-29T12:00",
            [("12-30T10:00", "12-30T09:00", "gap"), ("12-30T19:00", "12-31T09:00", "")],
        ),
        # several times of day in one gap are one
        (
            "0,30 2 * * *",
            BERLIN,
            "2026-03-29T00:00",
            [("03-29T01:00", "03-29T02:00", "gap"), ("03-30T00:00", "03-30T02:00", "")],
        ),
        # a time of day in an overlap: the first one
        (
            "30 1 * * *",
            NEW_YORK,
            "2026-11-01T00:00",
            [("11-01T05:30", "11-01T01:30", "overlap"), ("11-02T06:30", "11-02T01:30", "")],
        ),
        (
            "45 1 * * *",
            HOWE,
            "2026-04-05T00:00",
            [("04-04T14:45", "04-05T01:45", "overlap"), ("04-05T15:15", "04-06T01:45", "")],
        ),
        (
            "30 23 * * *",
            SAO_PAULO,
            "2018-02-17T12:00",
            [("02-18T01:30", "02-17T23:30", "overlap"), ("02-19T02:30", "02-18T23:30", "")],
        ),
        # what recurs: never in a gap, twice in an overlap
        (
            "*/30 * * * *",
            BERLIN,
            "2026-03-29T01:29",
            [("03-29T00:30", "03-29T01:30", ""), ("03-29T01:00", "03-29T03:00", "")],
        ),
        (
            "*/30 1 * * *",
            NEW_YORK,
            "2026-11-01T00:00",
            [
                ("11-01T05:00", "11-01T01:00", "overlap"),
                ("11-01T05:30", "11-01T01:30", "overlap"),
                ("11-01T06:00", "11-01T01:00", "overlap"),
                ("11-01T06:30", "11-01T01:30", "overlap"),
                ("11-02T06:00", "11-02T01:00", ""),
            ],
        ),
        (
            "0 * * * *",
            BERLIN,
            "2026-10-25T01:59",
            [
                ("10-25T00:00", "10-25T02:00", "overlap"),
                ("10-25T01:00", "10-25T02:00", "overlap"),
                ("10-25T02:00", "10-25T03:00", ""),
            ],
        ),
    ],
)
def test_the_rules(expression: str, zone: str, after: str, expected: list[tuple[str, str, str]]) -> None:
    assert shown(ByCron(expression, zone), at(after, zone), len(expected)) == expected


def test_the_second_time_of_an_overlap_is_suppressed_and_said_once() -> None:
    timing = ByCron("0,30 1 * * *", NEW_YORK)
    first, second = at("2026-11-01T01:00", NEW_YORK), at("2026-11-01T01:30", NEW_YORK)
    assert suppressed(timing, first - 1) == ()
    assert suppressed(timing, first) == ()
    assert suppressed(timing, second) == (
        Suppression(at("2026-11-01T06:00+00:00"), "2026-11-01T01:00:00", "2026-11-01T01:30:00", 2, "overlap"),
    )
    begun_between = at("2026-11-01T06:10+00:00")
    assert suppressed(timing, begun_between) == (
        Suppression(at("2026-11-01T06:30+00:00"), "2026-11-01T01:30:00", "2026-11-01T01:30:00", 1, "overlap"),
    )
    assert shown(timing, begun_between, 1) == [("11-02T06:00", "11-02T01:00", "")]


def test_what_recurs_in_a_gap_is_suppressed() -> None:
    timing = ByCron("*/15 * * * *", BERLIN)
    assert suppressed(timing, at("2026-03-29T01:45", BERLIN)) == (
        Suppression(at("2026-03-29T01:00+00:00"), "2026-03-29T02:00:00", "2026-03-29T02:45:00", 4, "gap"),
    )
    assert suppressed(timing, at("2026-03-29T01:00+00:00")) == ()


def test_an_interval_takes_no_notice_of_zones() -> None:
    timing = ByInterval(7_200, at("2026-10-24T21:00+00:00"), BERLIN)
    assert shown(timing, at("2026-10-24T20:59+00:00"), 4) == [
        ("10-24T21:00", "10-24T23:00", ""), ("10-24T23:00", "10-25T01:00", ""),
        ("10-25T01:00", "10-25T02:00", ""), ("10-25T03:00", "10-25T04:00", ""),
    ]  # fmt: skip
    assert shown(timing, at("2020-01-01T00:30+00:00"), 1) == [("01-01T01:00", "01-01T02:00", "")]  # before its anchor


def test_once() -> None:
    due = at("2026-12-24T18:00", BERLIN)
    assert following(Once(due, BERLIN), due - 1).occurrence == (due, "2026-12-24T18:00:00", "")
    assert following(Once(due, BERLIN), due).occurrence is None


def test_newest_looks_back_only_as_far_as_it_must() -> None:
    timing = ByCron("* * * * * *", "UTC")
    now = at("2026-06-01T00:00:00+00:00")
    assert [each.due for each in newest(timing, 0, now, 3)] == [now - 2_000, now - 1_000, now]
    assert newest(timing, now - 1_500, now, 5) == between(timing, now - 1_500, now)
    assert newest(timing, now, now, 5) == []
    yearly = ByCron("0 0 29 2 *", "UTC")
    assert [each.local[:10] for each in newest(yearly, 0, now, 2)] == ["2020-02-29", "2024-02-29"]


def test_nothing_after_the_year_2200() -> None:
    assert following(ByInterval(1), at("2200-01-01T00:00+00:00")).occurrence is None
    assert following(ByCron("0 0 * * *"), at("2500-01-01T00:00+00:00")).occurrence is None
