"""What a worker does for a credential is told by an event of its stream: sending the command, waiting for the event."""

import asyncio
from collections.abc import Collection
from typing import Any

import msgspec

from infra.log.port import Topic
from schemas.envelope import decode_commit
from services.api.commands import Position
from services.api.configuration import decide
from services.api.parts import Parts
from services.api.principal import Principal
from services.api.problems import Problem


async def await_event(
    parts: Parts,
    principal: Principal,
    credential_id: str,
    command: Any,
    kinds: Collection[str],
    mark: tuple[str, str],
    seconds: float,
) -> dict[str, Any]:
    """Send `command`; the first event after it, of `kinds` (without `credential.`), in whose data `mark` stands.

    Returned when its row is there. Raises Problem: what the command was refused for, 504 `no_verdict`.
    """
    stream = f"credential-{credential_id}"
    name, value = mark
    with parts.follower.expect_stream(stream) as commits:
        await decide(parts, principal, Topic.COMMANDS, stream, command)
        try:
            async with asyncio.timeout(seconds):
                while True:
                    record = await commits.next()
                    commit = decode_commit(record.value)
                    for event in commit.events:
                        kind = event.type.removeprefix("credential.")
                        data: dict[str, Any] = msgspec.json.decode(event.data) if kind in kinds else {}
                        if data.get(name) == value:
                            if commit.answers is not None:
                                position = Position(Topic.COMMANDS, record.partition, commit.answers.offset)
                                await parts.positions.require(position)
                            return {**data, "kind": kind}
        except TimeoutError:
            raise Problem(
                504, "no_verdict", f"No worker told what came of it within {seconds:g} s; it may still be told later."
            ) from None
