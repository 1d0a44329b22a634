"""Dead letters over HTTP: seen only in their workspace, sent again, discarded; the operator sees those of nobody."""

from typing import Any

from domain.dead_letter.commands import RecordLetter
from domain.dead_letter.decider import letter_id
from infra.log.port import Topic
from services.api.commands import now_ms
from services.api.configuration import decide
from services.api.principal import Principal
from services.registration import DEFAULT_WORKSPACE, workspace_id_of
from tests.services.api.conftest import Api
from tests.services.api.test_workflows import document

PATH = "/api/v1/dead-letters"


async def put_aside(api: Api, offset: int, workspace: str | None = None, **fields: Any) -> str:
    """Record a letter as a worker does; its id."""
    topic = Topic.EXECUTION_COMMANDS.value
    known: dict[str, Any] = {"code": "malformed_record", "reason": "no items", "at": now_ms() + offset}
    command = RecordLetter(topic=topic, partition=0, offset=offset, **(known | fields))
    identity = letter_id(topic, 0, offset)
    asker = Principal(api.workspace if workspace is None else workspace, "worker")
    _, position = await decide(api.parts, asker, Topic.COMMANDS, f"letter-{identity}", command)
    await api.parts.positions.require(position)
    return identity


async def test_a_letter_is_listed_looked_at_and_sent_again_as_a_new_execution(api: Api) -> None:
    workflow, _ = await api.client.deploy(document())
    old = "11111111-2222-4333-8444-555555555555"
    body = {
        "execution_id": old, "workflow_id": workflow, "workflow_version": 1, "trigger_node": "start",
        "trigger_type": "manual", "items": [{"json": {"n": 1}}], "queued_at": now_ms(),
    }  # fmt: skip
    letter = await put_aside(api, 1, command="execution.start", tv=1, stream=f"execution-{old}", body=body)
    other = await put_aside(api, 2, code="undecodable", excerpt="\x00garbage")

    listed = await api.client.ask("GET", PATH)
    assert [each["id"] for each in listed["items"]] == [other, letter]
    first = await api.client.ask("GET", f"{PATH}?limit=1")
    second = await api.client.ask("GET", f"{PATH}?limit=1&cursor={first['next_cursor']}")
    assert [first["items"][0]["id"], second["items"][0]["id"]] == [other, letter]
    assert [each["id"] for each in (await api.client.ask("GET", f"{PATH}?code=malformed_record"))["items"]] == [letter]
    shown = await api.client.ask("GET", f"{PATH}/{letter}")
    assert (shown["status"], shown["attempts"], shown["payload"]) == ("open", 0, body)

    assert (await api.client.ask("POST", f"{PATH}/redrive?dry_run=true"))["matched"] == 2
    sent = await api.client.ask("POST", f"{PATH}/{letter}/redrive")
    assert (sent["status"], sent["attempts"]) == ("redriven", 1)
    started = sent["sent_to"].removeprefix("execution-")
    assert started != old
    execution = await api.client.execution(started)
    assert (execution["workflow_id"], execution["retry_of"]) == (workflow, old)

    status, _, problem = await api.client.send("POST", f"{PATH}/{other}/redrive")
    assert (status, problem["code"]) == (409, "not_redrivable")
    gone = await api.client.ask("POST", f"{PATH}/{other}/discard", json={"reason": "noise"})
    assert (gone["status"], gone["discard_reason"]) == ("discarded", "noise")
    status, _, problem = await api.client.send("POST", f"{PATH}/{other}/discard", json={"why": 1})
    assert (status, problem["errors"][0]["path"]) == (422, "why")


async def test_all_open_letters_of_one_kind_are_sent_again(api: Api) -> None:
    workflow, _ = await api.client.deploy(document())
    for offset in (1, 2, 3):
        body = {"execution_id": "x", "workflow_id": workflow, "workflow_version": 1, "trigger_node": "start",
                "trigger_type": "manual", "items": [], "queued_at": now_ms()}  # fmt: skip
        stream = f"execution-11111111-2222-4333-8444-55555555555{offset}"
        await put_aside(api, offset, code="missing_blob", command="execution.start", tv=1, stream=stream, body=body)
    await put_aside(api, 4)
    answer = await api.client.ask("POST", f"{PATH}/redrive?code=missing_blob&limit=2")
    assert answer == {"matched": 3, "redriven": 2, "dry_run": False}
    answer = await api.client.ask("POST", f"{PATH}/redrive?code=missing_blob")
    assert answer == {"matched": 1, "redriven": 1, "dry_run": False}


async def test_letters_are_of_their_workspace_and_those_of_nobody_are_the_operators(api: Api) -> None:
    letter = await put_aside(api, 1)
    nobodys = await put_aside(api, 2, workspace="", code="undecodable")
    stranger = await api.new_key("99999999-2222-4333-8444-555555555555")
    operator = await api.new_key(workspace_id_of(DEFAULT_WORKSPACE))
    for path in (letter, nobodys):
        assert (await api.client.send("GET", f"{PATH}/{path}", headers={"authorization": f"Bearer {stranger}"}))[
            0
        ] == 404
        assert (
            await api.client.send("POST", f"{PATH}/{path}/redrive", headers={"authorization": f"Bearer {stranger}"})
        )[0] == 404
    assert (await api.client.ask("GET", PATH, headers={"authorization": f"Bearer {stranger}"}))["items"] == []
    assert (await api.client.send("GET", f"{PATH}/{nobodys}"))[0] == 404
    seen = await api.client.ask("GET", PATH, headers={"authorization": f"Bearer {operator}"})
    assert [each["id"] for each in seen["items"]] == [nobodys]
    gone = await api.client.ask("POST", f"{PATH}/{nobodys}/discard", headers={"authorization": f"Bearer {operator}"})
    assert gone["status"] == "discarded"
