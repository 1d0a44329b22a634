"""Where the read models stand in the log. The table `positions` moves in the transaction of the rows (rule 12)."""

import msgspec

from projections.connection import Connection
from schemas.envelope import Epoch

COMMIT_TOPIC = {"aggregates": "linkflow.events", "executions": "linkflow.executions"}
"""Commit topic of each lane."""

INPUT_TOPIC = {"linkflow.events": "linkflow.commands", "linkflow.executions": "linkflow.execution-commands"}
"""The input topic that a commit topic answers."""

TABLES = """
CREATE TABLE IF NOT EXISTS projections (
    name text PRIMARY KEY,
    version integer NOT NULL
);

CREATE TABLE IF NOT EXISTS positions (
    projection text NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL,
    next_offset bigint NOT NULL,
    epoch_offset bigint,
    epoch_nonce text,
    next_n bigint NOT NULL,
    answered bigint NOT NULL,
    PRIMARY KEY (projection, topic, partition)
) WITH (fillfactor = 50);
"""


class Place(msgspec.Struct, frozen=True):
    """A reader's place in one partition of a commit topic, with which a Fence starts (rule 3).

    `answered`: every input below it has its answer in the rows.
    """

    next_offset: int = 0
    epoch: Epoch | None = None
    next_n: int = 0
    answered: int = 0


class Position(msgspec.Struct, frozen=True):
    projection: str
    topic: str
    partition: int
    place: Place


async def load_positions(connection: Connection) -> list[Position]:
    """All positions of all projections."""
    rows = await connection.fetch(
        "SELECT projection, topic, partition, next_offset, epoch_offset, epoch_nonce, next_n, answered FROM positions"
    )
    return [
        Position(
            row["projection"],
            row["topic"],
            row["partition"],
            Place(
                row["next_offset"],
                None if row["epoch_nonce"] is None else Epoch(row["epoch_offset"], row["epoch_nonce"]),
                row["next_n"],
                row["answered"],
            ),
        )
        for row in rows
    ]


async def load_places(connection: Connection) -> dict[tuple[str, int], Place]:
    """(commit topic, partition) → the place that all read models of the topic have reached: where a feed may start."""
    places: dict[tuple[str, int], Place] = {}
    for position in await load_positions(connection):
        key = (position.topic, position.partition)
        if key not in places or position.place.next_offset < places[key].next_offset:
            places[key] = position.place
    return places


async def load_answered(connection: Connection) -> dict[tuple[str, int], int]:
    """(input topic, partition) → inputs below this offset have their answers in all rows."""
    rows = await connection.fetch("SELECT topic, partition, min(answered) AS answered FROM positions GROUP BY 1, 2")
    return {(INPUT_TOPIC[row["topic"]], row["partition"]): row["answered"] for row in rows}
