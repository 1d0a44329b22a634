"""`linkflow keys`: API keys of workspaces, through the log. For the operator: it needs the database and the log."""

import asyncio
import base64
import secrets
from typing import Annotated, Any

import typer

from infra.keys import new_api_key
from services.cli.access import database_settings, opened_log, opened_pool
from services.cli.output import Json, console, messages, print_json, print_table
from services.registration import (
    DEFAULT_WORKSPACE,
    NotRegistered,
    find_key,
    find_workspace,
    key_id_of,
    register_key,
    revoke_key,
    wait_for_key,
)

app = typer.Typer(help="API keys of workspaces.", no_args_is_help=True)

Workspace = Annotated[str, typer.Option("--workspace", "-w", help="Name of the workspace.")]


@app.command("create")
def create(
    workspace: Workspace = DEFAULT_WORKSPACE,
    name: Annotated[str, typer.Option(help="What the key is for, for people.")] = "",
    as_json: Json = False,
) -> None:
    """Make a key (and the workspace, if there is none of that name). It is shown once and stored as a hash."""
    key = new_api_key()
    workspace_id = asyncio.run(_create(workspace, name or "operator", key))
    if as_json:
        print_json({"api_key": key, "key_id": key_id_of(key), "workspace_id": workspace_id, "workspace": workspace})
    else:
        messages().print(f"key {key_id_of(key)} of workspace {workspace} ({workspace_id}); it is not shown again:")
        print(key)


@app.command("list")
def list_keys(workspace: Workspace = DEFAULT_WORKSPACE, as_json: Json = False) -> None:
    """List the keys of a workspace, revoked ones too."""
    keys = asyncio.run(_list(workspace))
    if as_json:
        print_json(keys)
        return
    print_table(
        ["id", "begins with", "name", "made", "revoked"],
        [[key["id"], key["prefix"], key["name"], key["created_at"], key["revoked_at"]] for key in keys],
        empty=f"workspace {workspace} has no keys",
    )


@app.command("revoke")
def revoke(
    key_id: Annotated[str, typer.Argument(help="Id of the key (linkflow keys list).")],
    workspace: Workspace = DEFAULT_WORKSPACE,
    as_json: Json = False,
) -> None:
    """End a key. Processes that know it forget it within seconds."""
    asyncio.run(_revoke(workspace, key_id))
    if as_json:
        print_json({"key_id": key_id, "revoked": True})
    else:
        console().print(f"revoked {key_id}", markup=False)


@app.command("rotate-secrets")
def rotate_secrets(
    forget_old: Annotated[
        bool, typer.Option("--forget-old", help="Throw old keys away once nothing is under them (backups stay shut).")
    ] = False,
    as_json: Json = False,
) -> None:
    """Put all credentials under a new key while everything runs. Cut off, it goes on where it was.

    A new key is made only if everything is under the present one; else what is left of the last change is done first.
    """
    result = asyncio.run(_rotate(forget_old))
    if as_json:
        print_json(result)
    else:
        messages().print(
            f"{result['resealed']} credentials are under key {result['key']} now; not yet: {result['left']}; "
            f"cannot be opened: {len(result['broken'])}; old keys thrown away: {result['forgotten']}"
        )
        for credential_id, why in result["broken"].items():
            messages().print(f"{credential_id}: {why}", markup=False)
    if result["left"] or result["broken"]:
        raise typer.Exit(1)


@app.command("new-secret")
def new_secret() -> None:
    """Print a new key for LINKFLOW_SECRET_KEY."""
    print(base64.b64encode(secrets.token_bytes(32)).decode())


async def _rotate(forget_old: bool) -> dict[str, Any]:
    from infra.log.clock import LogClock
    from infra.vault_keys import forget_old_keys, make_new_key, open_vault
    from services.resealing import reseal_all
    from services.worker.tell import LogTeller

    settings = database_settings()
    vault = open_vault(settings)
    async with opened_pool(settings) as pool, opened_log(settings) as log:
        teller = LogTeller(log, LogClock(), "operator")
        try:
            report = await reseal_all(pool, vault, teller)
            # what was there is an earlier change that was cut off, or keys that variables changed
            if not (report.done or report.left or report.broken) and not settings.secret_key:
                make_new_key(settings)
                report = await reseal_all(pool, vault, teller)
        finally:
            await teller.close()
    forgotten = forget_old_keys(settings) if forget_old and not report.left and not report.broken else 0
    return {
        "key": vault.current,
        "resealed": report.done,
        "left": report.left,
        "broken": report.broken,
        "forgotten": forgotten,
    }


async def _create(workspace: str, name: str, key: str) -> str:
    settings = database_settings()
    async with opened_pool(settings) as pool, opened_log(settings) as log, pool.acquire() as connection:
        workspace_id = await find_workspace(connection, workspace)
        await register_key(log, workspace_id, workspace, key, name)
        await wait_for_key(connection, workspace_id, key_id_of(key))
        return workspace_id


async def _list(workspace: str) -> list[dict[str, Any]]:
    from projections.workspaces.queries import list_api_keys

    async with opened_pool(database_settings()) as pool, pool.acquire() as connection:
        rows = await list_api_keys(connection, await find_workspace(connection, workspace))
    return [
        {
            "id": row.key_id,
            "prefix": row.prefix,
            "name": row.name,
            "created_at": row.created_at.isoformat(timespec="seconds"),
            "revoked_at": row.revoked_at.isoformat(timespec="seconds") if row.revoked_at else None,
        }
        for row in rows
    ]


async def _revoke(workspace: str, key_id: str) -> None:
    settings = database_settings()
    async with opened_pool(settings) as pool, opened_log(settings) as log, pool.acquire() as connection:
        workspace_id = await find_workspace(connection, workspace)
        if await find_key(connection, workspace_id, key_id) is None:
            raise NotRegistered(
                f"workspace {workspace} has no key {key_id} (linkflow keys list --workspace {workspace})"
            )
        await revoke_key(log, workspace_id, key_id)
        await wait_for_key(connection, workspace_id, key_id, revoked=True)
