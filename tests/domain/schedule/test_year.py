"""A year of schedules, played on ticks through the decider and compared with a reference that shares no code."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim

from domain.schedule.commands import UpdateSchedule
from domain.schedule.timing import ByCron, between
from tests.domain.schedule.player import Player, definition
from tests.domain.schedule.reference import Wanted, last_of_month, recurring, times_of_day

SCHEDULES: dict[str, Wanted] = {
    "30 1 * * *": lambda wall: wall.minute == 30 and wall.hour == 1,
    "30 2 * * *": lambda wall: wall.minute == 30 and wall.hour == 2,
    "0,15 0 * * *": lambda wall: wall.hour == 0 and wall.minute in (0, 15),
    "0 9 * * MON-FRI": lambda wall: wall.minute == 0 and wall.hour == 9 and wall.weekday() < 5,
    "59 23 L * *": lambda wall: wall.minute == 59 and wall.hour == 23 and last_of_month(wall),
    "0 12 29 FEB *": lambda wall: wall.day == 29 and (wall.month, wall.hour, wall.minute) == (2, 12, 0),
    "15 2 1 * SUN": lambda wall: wall.minute == 15 and wall.hour == 2 and (wall.day == 1 or wall.weekday() == 6),
    "30 2 * * SUN#1": lambda wall: wall.minute == 30 and wall.hour == 2 and wall.weekday() == 6 and wall.day <= 7,
    "45 */4 * * *": lambda wall: wall.minute == 45 and wall.hour % 4 == 0,
    "*/20 1-2 * * SAT,SUN": lambda wall: wall.hour in (1, 2) and wall.minute % 20 == 0 and wall.weekday() > 4,
}
RECURS = {"45 */4 * * *", "*/20 1-2 * * SAT,SUN"}
ZONES = {
    "America/New_York": 2028,  # a leap year
    "Europe/Berlin": 2026,
    "Australia/Lord_Howe": 2026,  # half an hour
    "America/Sao_Paulo": 2018,  # midnight does not exist
    "Pacific/Apia": 2011,  # a whole day does not exist
    "Asia/Almaty": 2024,  # the zone itself changes
    "UTC": 2028,
}


def expected(expression: str, zone: str, year: int) -> list[int]:
    find = recurring if expression in RECURS else times_of_day
    return find(SCHEDULES[expression], zone, year)


def year_of(year: int) -> tuple[int, int]:
    """The ms before the year begins, and its last one."""
    first, following = (int(datetime(each, 1, 1, tzinfo=UTC).timestamp()) * 1_000 for each in (year, year + 1))
    return first - 1, following - 1


@pytest.mark.parametrize("zone", ["Asia/Almaty", "UTC"])
def test_the_rule_alone_agrees_with_the_reference(zone: str) -> None:
    before, last = year_of(ZONES[zone])
    for expression in SCHEDULES:
        found = [each.due for each in between(ByCron(expression, zone), before, last)]
        assert found == expected(expression, zone, ZONES[zone]), expression


@pytest.mark.parametrize("zone", list(ZONES)[:5])
def test_a_year_on_ticks_fires_at_the_reference_instants(zone: str) -> None:
    year = ZONES[zone]
    before, last = year_of(year)
    compared = 0
    for expression in SCHEDULES:
        player = Player(ByCron(expression, zone), before)
        player.play(last)
        wanted = expected(expression, zone, year)
        assert [each.due for each in player.fired] == wanted, expression
        assert [each.at for each in player.fired] == wanted, "each by the first tick at or after it"
        assert len({each.firing_id for each in player.fired}) == len({each.execution_id for each in player.fired})
        assert len(player.commands) == len(wanted)
        compared += len(wanted)
    assert compared > 4_000


@pytest.mark.parametrize("zone", ZONES)
def test_another_library_agrees(zone: str) -> None:
    year = ZONES[zone]
    before, last = year_of(year)
    place = ZoneInfo(zone)
    for expression in SCHEDULES:
        found: list[int] = []
        for moment in CronSim(expression, datetime.fromtimestamp(before / 1_000, place)):
            instant = int(moment.timestamp()) * 1_000
            if instant > last:
                break
            if not found or instant > found[-1]:  # two times of day in one gap come twice there
                found.append(instant)
        assert [each.due for each in between(ByCron(expression, zone), before, last)] == found, expression


def test_another_zone_in_the_middle_of_the_year() -> None:
    before, last = year_of(2026)
    changed = int(datetime(2026, 7, 1, 12, tzinfo=UTC).timestamp()) * 1_000
    player = Player(ByCron("30 2 * * *", "Europe/Berlin"), before)
    player.play(changed)
    player.hand_over()
    player.tell(UpdateSchedule(definition(ByCron("30 2 * * *", "America/New_York")), changed))
    player.play(last)
    wanted = [each for each in expected("30 2 * * *", "Europe/Berlin", 2026) if each <= changed]
    wanted += [each for each in times_of_day(SCHEDULES["30 2 * * *"], "America/New_York", 2026) if each > changed]
    assert [each.due for each in player.fired] == wanted
