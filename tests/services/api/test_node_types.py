"""The catalogue of node types over HTTP."""

from domain.nodes.registry import NODE_TYPES
from tests.services.api.conftest import Api


async def test_the_catalogue(api: Api) -> None:
    status, _, found = await api.client.send("GET", "/api/v1/node-types")
    assert status == 200
    assert [entry["type"] for entry in found["items"]] == sorted(NODE_TYPES)
    assert found["next_cursor"] is None
    limit = next(entry for entry in found["items"] if entry["type"] == "limit")
    assert limit["parameters"]["properties"]["from"]["enum"] == ["start", "end"]
    assert (limit["inputs"], limit["outputs"], limit["effects"]) == (["main"], ["main"], ["pure"])


async def test_one_type(api: Api) -> None:
    status, _, found = await api.client.send("GET", "/api/v1/node-types/compare")
    assert (status, found["type"], found["version"]) == (200, "compare", 1)
    status, _, problem = await api.client.send("GET", "/api/v1/node-types/none")
    assert (status, problem["code"]) == (404, "not_found")


async def test_an_integration_names_its_operations(api: Api) -> None:
    _, _, found = await api.client.send("GET", "/api/v1/node-types/slack")
    assert (found["credential_types"], found["credential_required"]) == (["slack", "oauth2"], True)
    assert [branch["title"] for branch in found["parameters"]["oneOf"]] == [
        each["title"] for each in found["operations"]
    ]
    assert found["operations"][0]["selects"] == {"resource": "message", "operation": "post"}
