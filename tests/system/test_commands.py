"""The command line against a running installation, on both logs."""

import json
from pathlib import Path
from typing import Any

from tests.support.client import Client
from tests.support.cluster import Roles
from tests.system.documents import echo


async def _run(cluster: Roles, *words: str) -> Any:
    code, out, err = await cluster.cli(*words, "--json")
    assert code == 0, err
    return json.loads(out)


async def test_a_workflow_from_file_to_result(shared: Roles, tmp_path: Path) -> None:
    file = tmp_path / "workflow.json"
    file.write_text(
        json.dumps(
            {
                "name": "Double",
                "nodes": [
                    {"id": "start", "type": "manual"},
                    {"id": "double", "type": "set", "parameters": {"fields": {"n": "{{ $json.n * 2 }}"}}},
                ],
                "connections": [{"from": "start", "to": "double"}],
            }
        )
    )
    workflow = await _run(shared, "workflows", "create", str(file))
    shown = await _run(shared, "workflows", "show", workflow["id"])
    assert (shown["name"], shown["status"], shown["version"]) == ("Double", "draft", 1)
    updated = await _run(shared, "workflows", "update", workflow["id"], str(file))
    assert updated["version"] == 2
    execution = await _run(shared, "execute", workflow["id"], "--input", '{"n": 21}', "--wait", "20")
    assert execution["status"] == "completed"
    assert execution["output"] == [{"json": {"n": 42}}]
    listed = await _run(shared, "executions", "list", "--workflow", workflow["id"])
    assert [each["id"] for each in listed["items"]] == [execution["id"]]
    code, out, _ = await shared.cli("executions", "show", execution["id"])
    assert code == 0
    assert "double  completed" in out
    code, out, _ = await shared.cli("tail", "--from", "start", "--no-follow", "--execution", execution["id"], "--json")
    assert code == 0
    types = [json.loads(line)["type"] for line in out.splitlines()]
    assert types[0] == "execution.queued"
    assert types[-1] == "execution.completed"
    assert (await _run(shared, "workflows", "archive", workflow["id"]))["status"] == "archived"


async def test_keys_open_their_workspace_and_end_when_revoked(shared: Roles, client: Client) -> None:
    workflow, _ = await client.deploy(echo())
    made = await _run(shared, "keys", "create", "--workspace", "Käse GmbH", "--name", "ci")
    async with Client(shared.url, made["api_key"]) as theirs:
        status, _, _ = await theirs.send("GET", f"/api/v1/workflows/{workflow}")
        assert status == 404
        assert (await theirs.ask("GET", "/api/v1/workflows"))["items"] == []
    again = await _run(shared, "keys", "create", "--workspace", "Käse GmbH")
    assert again["workspace_id"] == made["workspace_id"]
    await _run(shared, "keys", "revoke", made["key_id"], "--workspace", "Käse GmbH")
    keys = await _run(shared, "keys", "list", "--workspace", "Käse GmbH")
    assert [(key["name"], key["revoked_at"] is None) for key in keys] == [("ci", False), ("operator", True)]
    assert made["api_key"] not in json.dumps(keys)
    code, _, err = await shared.cli("keys", "revoke", "nothing", "--workspace", "Käse GmbH")
    assert code == 1
    assert "no key nothing" in err


async def test_rebuild_and_verify(shared: Roles, client: Client) -> None:
    workflow, _ = await client.deploy(echo())
    report = await _run(shared, "rebuild", "workflows")
    assert report["names"] == ["workflows"]
    assert (await client.ask("GET", f"/api/v1/workflows/{workflow}"))["status"] == "active"
    verified = await _run(shared, "verify")
    assert verified["ok"]
    assert verified["differences"] == []
    code, _, err = await shared.cli("rebuild", "nonsense")
    assert code == 1
    assert "executions" in err


async def test_topics(shared: Roles) -> None:
    described = await _run(shared, "topics", "describe")
    assert {facts["partitions"] for facts in described.values()} == {8}
    assert len(described) == 6
    assert await _run(shared, "topics", "create") == {"partitions": 8}
    assert (await _run(shared, "topics", "check"))["ok"]
    assert await _run(shared, "migrate") == {"applied": []}
