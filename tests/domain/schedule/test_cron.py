"""Cron expressions: what they mean, and what is said of those that mean nothing."""

from datetime import datetime

import pytest

from domain.schedule.cron import InvalidCron, parse_cron

START = datetime(2026, 1, 1)  # noqa: DTZ001 — a Thursday, on no clock in particular


def first(expression: str, count: int = 3, start: datetime = START) -> list[str]:
    found, moment = [], start
    for _ in range(count):
        following = parse_cron(expression).after(moment)
        assert following is not None
        found.append(following.isoformat())
        moment = following
    return found


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("*/15 * * * *", ["2026-01-01T00:15:00", "2026-01-01T00:30:00", "2026-01-01T00:45:00"]),
        ("*/20 0 0 * * *", ["2026-01-01T00:00:20", "2026-01-01T00:00:40", "2026-01-02T00:00:00"]),
        ("@hourly", ["2026-01-01T01:00:00", "2026-01-01T02:00:00", "2026-01-01T03:00:00"]),
        ("@daily", ["2026-01-02T00:00:00", "2026-01-03T00:00:00", "2026-01-04T00:00:00"]),
        ("@weekly", ["2026-01-04T00:00:00", "2026-01-11T00:00:00", "2026-01-18T00:00:00"]),
        ("@MONTHLY", ["2026-02-01T00:00:00", "2026-03-01T00:00:00", "2026-04-01T00:00:00"]),
        ("@yearly", ["2027-01-01T00:00:00", "2028-01-01T00:00:00", "2029-01-01T00:00:00"]),
        ("0 9 * * mon-FRI", ["2026-01-01T09:00:00", "2026-01-02T09:00:00", "2026-01-05T09:00:00"]),
        ("0 9 * * sat-sun", ["2026-01-03T09:00:00", "2026-01-04T09:00:00", "2026-01-10T09:00:00"]),
        ("0 9 * * 7", ["2026-01-04T09:00:00", "2026-01-11T09:00:00", "2026-01-18T09:00:00"]),
        ("0 0 L * ?", ["2026-01-31T00:00:00", "2026-02-28T00:00:00", "2026-03-31T00:00:00"]),
        ("0 0 15,L FEB *", ["2026-02-15T00:00:00", "2026-02-28T00:00:00", "2027-02-15T00:00:00"]),
        ("0 12 * * 5#2", ["2026-01-09T12:00:00", "2026-02-13T12:00:00", "2026-03-13T12:00:00"]),
        ("0 12 * * FRI#1,FRI#3", ["2026-01-02T12:00:00", "2026-01-16T12:00:00", "2026-02-06T12:00:00"]),
        ("0 12 * * 5L", ["2026-01-30T12:00:00", "2026-02-27T12:00:00", "2026-03-27T12:00:00"]),
        ("0 12 * * LFRI", ["2026-01-30T12:00:00", "2026-02-27T12:00:00", "2026-03-27T12:00:00"]),
        ("0 0 29 2 *", ["2028-02-29T00:00:00", "2032-02-29T00:00:00", "2036-02-29T00:00:00"]),
        ("0 0 13 * 5", ["2026-01-02T00:00:00", "2026-01-09T00:00:00", "2026-01-13T00:00:00"]),  # either one
        ("0 0 */2 * 1", ["2026-01-05T00:00:00", "2026-01-19T00:00:00", "2026-02-09T00:00:00"]),  # a star narrows
        ("10-50/20 8-10 1 1-12/6 *", ["2026-01-01T08:10:00", "2026-01-01T08:30:00", "2026-01-01T08:50:00"]),
        ("50/3 * * * *", ["2026-01-01T00:50:00", "2026-01-01T00:53:00", "2026-01-01T00:56:00"]),
    ],
)
def test_what_it_means(expression: str, expected: list[str]) -> None:
    assert first(expression) == expected


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("", "has 5 fields"),
        ("* * * *", "this one has 4"),
        ("* * * * * * *", "this one has 7"),
        ("60 * * * *", "minute: 60 in '60' is not between 0 and 59"),
        ("* 24 * * *", "hour: 24"),
        ("* * 0 * *", "day of month: 0"),
        ("* * * 13 *", "month: 13"),
        ("* * * * 8", "day of week: 8"),
        ("61 * * * * *", "second: 61"),
        ("*/0 * * * *", "minute: '*/0' steps by 0"),
        ("*/90 * * * *", "an interval does what you mean"),
        ("50-10 * * * *", "minute: the range '50-10' runs backwards"),
        ("MON * * * *", "minute: 'mon' in 'mon' is no value of this field, which takes numbers"),
        ("* * * * MO", "names are sun, mon"),
        ("* * * JANUARY *", "names are jan, feb"),
        ("* * 30 2 *", "never comes"),
        ("* * 15W * *", "day of month: '15w'"),
        ("* * L-3 * *", "day of month: 'l-3' is not known; L stands alone"),
        ("* * * * 5#6", "outside 1 to 5"),
        ("* * * * 1,5#2", "make two schedules of it"),
        ("* * * * H", "day of week: 'h'"),
        ("1,,2 * * * *", "minute: ''"),
        ("@reboot", "'@reboot' is no alias; known are @hourly"),
        ("@every 5m", "use an interval"),
        ("*" * 301, "more than 300 characters"),
        ("٣ * * * *", "minute: '٣'"),
    ],
)
def test_what_is_said_of_nonsense(expression: str, said: str) -> None:
    with pytest.raises(InvalidCron) as error:
        parse_cron(expression)
    assert said in str(error.value)


def test_the_last_friday_and_a_date_do_not_mix_quietly() -> None:
    assert first("0 0 1 * 5L") == ["2026-01-30T00:00:00", "2026-02-01T00:00:00", "2026-02-27T00:00:00"]
