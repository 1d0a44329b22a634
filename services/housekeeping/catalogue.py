"""All jobs of housekeeping: an explicit table."""

from domain.schedule.timing import ByCron, ByInterval
from services.housekeeping.blobs import delete_blobs
from services.housekeeping.clocks import by_believed_time
from services.housekeeping.jobs import Job
from services.housekeeping.leftovers import clear_leftovers
from services.housekeeping.letters import report_dead_letters
from services.housekeeping.log_cut import cut_log
from services.housekeeping.retention import apply_retention
from services.housekeeping.stale_work import find_stale_work


def all_jobs(at: str, zone: str) -> list[Job]:
    """`at`: HH:MM in `zone`, when the heavy ones begin, one behind the other."""
    hour, minute = (int(part) for part in at.split(":"))

    def daily(later: int = 0) -> ByCron:
        minutes = (hour * 60 + minute + later) % 1_440
        return ByCron(f"{minutes % 60} {minutes // 60} * * *", zone)

    return [
        Job("stale_work", "Finds executions that should go on and do not.", ByInterval(300), 120, find_stale_work),
        Job("dead_letters", "Says how the review of the dead letters goes.", ByInterval(600), 60, report_dead_letters),
        Job("leftovers", "Removes what dead processes left behind.", ByInterval(3_600), 120, clear_leftovers),
        Job(
            "retention",
            "Takes away what is older than its workspace keeps it.",
            daily(),
            7_200,
            by_believed_time(apply_retention),
            waits=True,
        ),
        Job(
            "blobs",
            "Deletes large values that nothing kept names.",
            daily(20),
            3_600,
            by_believed_time(delete_blobs),
            waits=True,
        ),
        Job(
            "log",
            "Cuts commits of which nothing is kept, and answered inputs.",
            daily(40),
            7_200,
            by_believed_time(cut_log),
            waits=True,
        ),
    ]
