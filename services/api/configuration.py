"""Commands that change configuration: sent, decided, and visible before the caller is answered."""

from typing import Any

from infra.log.port import Topic
from schemas.envelope import CommitRecord, decode_commit
from services.api.answers import await_reply
from services.api.commands import Position, now_ms
from services.api.parts import Parts
from services.api.principal import Principal
from services.api.problems import of_outcome


async def decide(
    parts: Parts, principal: Principal, topic: Topic, stream: str, command: Any, *, made: int | None = None
) -> tuple[CommitRecord, Position]:
    """Send a command and wait for its answer. A refusal is raised as a Problem; a duplicate is no refusal."""
    nonce = parts.sender.new_nonce()
    with parts.follower.expect_reply(nonce) as reply:
        position = await parts.sender.send(
            topic,
            stream,
            command,
            workspace=principal.workspace_id,
            actor=principal.actor,
            made=now_ms() if made is None else made,
            reply=nonce,
        )
        commit: CommitRecord = decode_commit((await await_reply(reply)).value)
    if commit.outcome.kind in ("rejected", "failed"):
        raise of_outcome(commit.outcome)
    return commit, position


async def configure(
    parts: Parts, principal: Principal, workflow_id: str, command: Any, *, made: int | None = None
) -> Position:
    """Decide a workflow's command and wait until its rows are there, so that the caller reads its own write."""
    _, position = await decide(parts, principal, Topic.COMMANDS, f"workflow-{workflow_id}", command, made=made)
    await parts.positions.require(position)
    return position
