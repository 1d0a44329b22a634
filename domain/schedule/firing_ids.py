"""What is derived from a schedule and a due time, the same whoever computes it: ids, and the share of the jitter."""

from uuid import NAMESPACE_URL, UUID, uuid5
from zlib import crc32


def derived(identity: str, name: str) -> str:
    """The id of what `name` is to the thing with this id."""
    try:
        namespace = UUID(identity)
    except ValueError:
        namespace = uuid5(NAMESPACE_URL, identity)
    return str(uuid5(namespace, name))


def schedule_of(workflow_id: str, node: str) -> str:
    """The id of the schedule that a workflow's node is."""
    return derived(workflow_id, f"schedule:{node}")


def firing_of(schedule_id: str, due: int, backfill: str = "") -> str:
    """The id of a firing."""
    return derived(schedule_id, f"{due}:{backfill}" if backfill else str(due))


def note_of(schedule_id: str, what: str, due: int) -> str:
    """The id of the record that firings were skipped or suppressed."""
    return derived(schedule_id, f"{what}:{due}")


def execution_of(firing_id: str) -> str:
    """The id of the execution that a firing starts."""
    return derived(firing_id, "execution")


def start_of(firing_id: str) -> str:
    """The id of the command that starts it."""
    return derived(firing_id, "start")


def seed_of(schedule_id: str) -> int:
    return crc32(schedule_id.encode())


def jitter_of(seed: int, due: int, seconds: int) -> int:
    """How long a firing due at `due` is put off, in ms below `seconds`."""
    return crc32(b"%d" % due, seed) % (seconds * 1_000) if seconds else 0
