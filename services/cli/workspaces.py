"""`linkflow workspaces`: who there is, what share each has, how long its executions are kept.

For the operator: it needs the database and the log.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import typer

from domain.workspace.decider import MAX_RETENTION_DAYS, MAX_WEIGHT, MIN_WEIGHT
from infra.log.port import Log
from projections.workspaces.queries import WorkspaceRow
from services.cli.access import database_settings, opened_log, opened_pool
from services.cli.output import Json, console, print_json, print_table

app = typer.Typer(help="Workspaces and their shares.", no_args_is_help=True)

_WAIT_SECONDS = 30.0


@app.command("list")
def list_all(as_json: Json = False) -> None:
    """List the workspaces with their weights and limits."""
    rows = [_shown(row) for row in asyncio.run(_list())]
    if as_json:
        print_json(rows)
        return
    print_table(
        ["id", "name", "weight", "side by side", "kept (days)", "payloads (days)", "made"],
        [
            [
                row["id"],
                row["name"],
                f"{row['weight']:g}",
                row["concurrent"] or "no limit",
                row["retention_days"] or "default",
                row["payload_retention_days"] or "default",
                row["created_at"],
            ]
            for row in rows
        ],
        empty="there is no workspace",
    )


@app.command("share")
def share(
    workspace: Annotated[str, typer.Argument(help="Name of the workspace.")],
    weight: Annotated[float, typer.Option(help="Its part under pressure; others have 1.")] = 1.0,
    concurrent: Annotated[int | None, typer.Option(help="So many executions side by side.")] = None,
    as_json: Json = False,
) -> None:
    """Set a workspace's share: how much it gets under pressure, how many of its executions go on side by side."""
    row = _shown(asyncio.run(_share(workspace, weight, concurrent)))
    if as_json:
        print_json(row)
    else:
        limit = row["concurrent"] or "no limit"
        console().print(f"workspace {workspace}: weight {row['weight']:g}, side by side: {limit}", markup=False)


@app.command("retention")
def retention(
    workspace: Annotated[str, typer.Argument(help="Name of the workspace.")],
    days: Annotated[
        int | None,
        typer.Option(min=1, max=MAX_RETENTION_DAYS, help="An execution is kept so long after its end."),
    ] = None,
    payload_days: Annotated[
        int | None, typer.Option(min=1, max=MAX_RETENTION_DAYS, help="Its inputs and outputs are kept so long.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Set how long a workspace's executions are kept; without options as the installation has it."""
    row = _shown(asyncio.run(_retention(workspace, days, payload_days)))
    if as_json:
        print_json(row)
    else:
        kept, payloads = (row[name] or "as the installation" for name in ("retention_days", "payload_retention_days"))
        console().print(f"workspace {workspace}: kept for days: {kept}, payloads: {payloads}", markup=False)


async def _list() -> list[WorkspaceRow]:
    from projections.workspaces.queries import list_workspaces

    rows: list[WorkspaceRow] = []
    async with opened_pool(database_settings()) as pool, pool.acquire() as connection:
        while page := await list_workspaces(connection, rows[-1].id if rows else None):
            rows += page
    return rows


async def _share(workspace: str, weight: float, concurrent: int | None) -> WorkspaceRow:
    from services.registration import set_share

    if not MIN_WEIGHT <= weight <= MAX_WEIGHT or (concurrent is not None and concurrent < 1):
        raise typer.BadParameter(f"--weight takes {MIN_WEIGHT:g} to {MAX_WEIGHT:g}, --concurrent 1 or more")
    return await _change(
        workspace,
        lambda log, space: set_share(log, space, weight, concurrent),
        lambda row: (row.weight, row.concurrent) == (weight, concurrent),
    )


async def _retention(workspace: str, days: int | None, payload_days: int | None) -> WorkspaceRow:
    from services.registration import set_retention

    if days is not None and (payload_days or 0) > days:
        raise typer.BadParameter("--payload-days cannot be more than --days")
    return await _change(
        workspace,
        lambda log, space: set_retention(log, space, days, payload_days),
        lambda row: (row.retention_days, row.payload_retention_days) == (days, payload_days),
    )


async def _change(
    workspace: str, ask: Callable[[Log, str], Awaitable[None]], done: Callable[[WorkspaceRow], bool]
) -> WorkspaceRow:
    """Ask for a change of the workspace of that name, and wait until its row shows it."""
    from projections.workspaces.queries import find_workspaces_by_name, get_workspace
    from services.registration import NotRegistered

    settings = database_settings()
    async with opened_pool(settings) as pool, opened_log(settings) as log, pool.acquire() as connection:
        found = await find_workspaces_by_name(connection, workspace)
        if not found:
            raise NotRegistered(f"there is no workspace called {workspace} (linkflow workspaces list)")
        await ask(log, found[0].id)
        deadline = time.monotonic() + _WAIT_SECONDS
        while time.monotonic() < deadline:
            row = await get_workspace(connection, found[0].id)
            if row is not None and done(row):
                return row
            await asyncio.sleep(0.05)
    raise NotRegistered("the log has it, but it was not projected in time: are a worker and a projector running?")


def _shown(row: WorkspaceRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.name,
        "weight": row.weight,
        "concurrent": row.concurrent,
        "retention_days": row.retention_days,
        "payload_retention_days": row.payload_retention_days,
        "created_at": row.created_at.isoformat(timespec="seconds"),
    }
