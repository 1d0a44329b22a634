"""How the review of the dead letters goes. The review itself is their owner's, by ticks (domain/dead_letter)."""

from services.housekeeping.jobs import Work


async def report_dead_letters(work: Work) -> None:
    """Figures: open, redriven, discarded (letters), reviewed (of the open ones), last_review (ms since 1970)."""
    row = await work.pool.fetchrow(
        "SELECT count(*) FILTER (WHERE status = 'open') AS open,"
        " count(*) FILTER (WHERE status = 'redriven') AS redriven,"
        " count(*) FILTER (WHERE status = 'discarded') AS discarded,"
        " count(*) FILTER (WHERE status = 'open' AND reviewed_at IS NOT NULL) AS reviewed,"
        " (extract(epoch FROM max(reviewed_at)) * 1000)::bigint AS last_review FROM dead_letters"
    )
    work.figures.update(dict(row) if row is not None else {})
