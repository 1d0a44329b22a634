"""Reads of the read models: what the API asks for, always within one workspace."""

import asyncio
from datetime import timedelta

import pytest

from infra.postgres.pool import Connections, Pool, open_pool
from projections.catalog import TABLES
from projections.executions.queries import find_fingerprint, get_execution, list_executions
from projections.node_executions.queries import list_node_executions
from projections.variables.queries import get_variable, list_variables, load_values
from projections.webhooks.queries import find_webhook, list_webhooks
from projections.workflow_versions.queries import get_version, list_versions
from projections.workflows.queries import get_workflow, list_workflows
from projections.workspaces.queries import find_api_key, find_workspaces_by_name, get_workspace, list_api_keys
from services.projector.statements import instant
from services.worker.read_models import ReadModelsBehind
from services.worker.variables import WorkspaceVariables
from tests.projections.given import FLOW, SPACE, T0, World, some_id
from tests.services.projector.conftest import CatchUp

OTHER = some_id("another workspace")
MONTH = 31 * 86_400_000


@pytest.fixture
async def filled(world: World, project: CatchUp) -> World:
    world.configure()
    for index in range(7):
        world.run_at_once(index, at=T0 + index * MONTH)
    world.run_in_steps("failed", at=T0 + 7 * MONTH, fails=True)
    await project(world.log)
    return world


async def test_configuration(filled: World, pool: Pool) -> None:
    workspace = await get_workspace(pool, SPACE)
    assert workspace is not None
    assert (workspace.name, workspace.created_at) == ("Space", instant(T0))
    assert await find_workspaces_by_name(pool, "Space") == [workspace]
    key = await find_api_key(pool, "hash")
    assert key is not None
    assert (key.workspace_id, key.prefix, await list_api_keys(pool, SPACE)) == (SPACE, "lf_ab", [key])
    workflow = await get_workflow(pool, SPACE, FLOW)
    assert workflow is not None
    assert (workflow.status, workflow.active_version, workflow.fingerprint) == ("active", 1, "fp")
    assert await list_workflows(pool, SPACE) == await list_workflows(pool, SPACE, status="active") == [workflow]
    assert await list_workflows(pool, SPACE, before=(workflow.created_at, workflow.id)) == []
    version = await get_version(pool, SPACE, FLOW, 1)
    assert version is not None
    assert version.document == '{"name":"Flow","nodes":[]}'
    assert [each.document for each in await list_versions(pool, SPACE, FLOW)] == [None]
    webhook = await find_webhook(pool, "endpoint-1")
    assert webhook is not None
    assert (webhook.workflow_id, webhook.active, await list_webhooks(pool, SPACE, FLOW)) == (FLOW, True, [webhook])


async def test_variables(filled: World, pool: Pool) -> None:
    found = await get_variable(pool, SPACE, "_rates")
    assert found is not None
    assert (found.value, found.version, found.created_at) == ("false", 6, instant(T0 + 5))
    assert await get_variable(pool, OTHER, "_rates") is None
    assert [row.name for row in await list_variables(pool, SPACE)] == ["Nothing", "_rates", "region"]
    assert [row.name for row in await list_variables(pool, SPACE, limit=1, after="Nothing")] == ["_rates"]
    one, all_ = (SPACE, frozenset({"region", "no such"})), (SPACE, None)
    assert await load_values(pool, [one]) == {SPACE: {"region": [1, None]}}
    assert await load_values(pool, [all_]) == {SPACE: {"Nothing": None, "_rates": False, "region": [1, None]}}
    assert await load_values(pool, [one, all_]) == await load_values(pool, [all_])
    assert await load_values(pool, [(OTHER, None), (SPACE, frozenset({"Nothing"}))]) == {SPACE: {"Nothing": None}}
    assert await load_values(pool, []) == await load_values(pool, [("no uuid", None)]) == {}


async def test_variables_are_waited_for_where_the_log_has_more(
    filled: World, pool: Pool, postgres_url: str, project: CatchUp
) -> None:
    """A backup beside a newer log. Once the rows are there they stay, unless it is another PostgreSQL."""
    connections, key = Connections(), (SPACE, frozenset({"region"}))
    own = await open_pool(postgres_url, min_size=1, max_size=1, connections=connections)
    try:
        await pool.execute("DELETE FROM variables")
        await pool.execute(
            "UPDATE positions SET next_offset = 0, epoch_offset = NULL, epoch_nonce = NULL, next_n = 0, answered = 0"
            " WHERE projection = 'variables'"
        )
        impatient = WorkspaceVariables(own, filled.log, connections, wait_seconds=0)
        with pytest.raises(ReadModelsBehind):
            await impatient.load([key])
        loading = asyncio.create_task(WorkspaceVariables(own, filled.log, connections).load([key]))
        await project(filled.log)
        assert await loading == {key: {"region": [1, None]}}
        assert await impatient.load([key]) == {key: {"region": [1, None]}}
        await pool.execute("UPDATE positions SET next_offset = 0 WHERE projection = 'variables'")
        assert await impatient.load([key]) == {key: {"region": [1, None]}}, "it is asked for once"
        await own.expire_connections()
        with pytest.raises(ReadModelsBehind):
            await impatient.load([key])
    finally:
        await own.close()


async def test_read_models_of_a_time_before_variables_say_nothing_of_them(filled: World, pool: Pool) -> None:
    await pool.execute("DROP TABLE read.variables")
    await pool.execute("DELETE FROM read.positions WHERE projection = 'variables'")
    with pytest.raises(ReadModelsBehind):
        await WorkspaceVariables(pool, filled.log, Connections(), wait_seconds=0).load([(SPACE, None)])


async def test_an_execution_with_its_runs(filled: World, pool: Pool) -> None:
    execution = await get_execution(pool, SPACE, some_id(0))
    assert execution is not None
    assert (execution.status, execution.output, execution.queued_at) == (
        "completed",
        '[{"json":{"ok":true}}]',
        instant(T0),
    )
    assert await find_fingerprint(pool, SPACE, some_id(0)) == "f"
    runs = await list_node_executions(pool, SPACE, some_id(0), execution.queued_at)
    assert [(run.node_id, run.sources) for run in runs] == [
        ("n0", None),
        ("n1", '[["n0",0,"main","main"]]'),
        ("n2", '[["n1",0,"main","main"]]'),
    ]


async def test_pages_are_newest_first_and_miss_nothing(filled: World, pool: Pool) -> None:
    found: list[str] = []
    before = None
    while page := await list_executions(pool, SPACE, limit=3, before=before):
        found += [each.id for each in page]
        before = (page[-1].queued_at, page[-1].id)
    assert found == [some_id("failed"), *(some_id(index) for index in reversed(range(7)))]


async def test_filters(filled: World, pool: Pool) -> None:
    assert [each.id for each in await list_executions(pool, SPACE, status="failed")] == [some_id("failed")]
    assert len(await list_executions(pool, SPACE, status="completed", workflow_id=FLOW)) == 7
    assert await list_executions(pool, SPACE, workflow_id=some_id("no flow")) == []
    since = instant(T0 + MONTH)
    some = await list_executions(pool, SPACE, since=since, until=since + timedelta(milliseconds=MONTH))
    assert [each.id for each in some] == [some_id(1)]


async def test_another_workspace_sees_nothing(filled: World, pool: Pool) -> None:
    assert await get_workflow(pool, OTHER, FLOW) is None
    assert await list_workflows(pool, OTHER) == []
    assert await get_version(pool, OTHER, FLOW, 1) is None
    assert await list_versions(pool, OTHER, FLOW) == []
    assert await list_webhooks(pool, OTHER, FLOW) == []
    assert await get_execution(pool, OTHER, some_id(0)) is None
    assert await find_fingerprint(pool, OTHER, some_id(0)) is None
    assert await list_executions(pool, OTHER) == []
    assert await list_node_executions(pool, OTHER, some_id(0), instant(T0)) == []
    assert await list_api_keys(pool, OTHER) == []


async def test_what_is_no_id_names_nothing(filled: World, pool: Pool) -> None:
    assert await get_execution(pool, SPACE, "'; DROP TABLE executions") is None
    assert await get_workflow(pool, SPACE, "x") is None
    assert await list_executions(pool, SPACE, workflow_id="x") == []
    assert await find_webhook(pool, "\0") is None


async def test_tables_are_what_the_projections_say(filled: World, pool: Pool) -> None:
    types = {"double precision": "float", "timestamp with time zone": "time"}
    for table in TABLES.values():
        rows = await pool.fetch(
            "SELECT column_name, data_type FROM information_schema.columns "
            "WHERE table_schema = 'read' AND table_name = $1",
            table.name,
        )
        assert {row[0]: types.get(row[1], row[1]) for row in rows} == table.columns, table.name
