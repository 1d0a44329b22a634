"""The worker's composition root: settings in, a running worker out."""

import asyncio
import os
import signal
import socket
from collections.abc import Collection
from functools import partial

import asyncpg

from domain.effects import HttpRequest, RedisCommand, SendMail, SqlQuery
from domain.execution.links import Links
from infra.blobs import PostgresBlobs
from infra.egress.guard import EgressGuard
from infra.keys import load_secret_key
from infra.log import open_log
from infra.log.clock import LogClock
from infra.postgres.checkpoints import PostgresCheckpoints
from infra.postgres.heartbeats import PostgresHeartbeats
from infra.postgres.pool import Connections, open_pool
from infra.sandbox import Sandbox
from infra.settings import Settings
from infra.telemetry.logs import configure_logs
from infra.telemetry.metrics import serve_metrics
from infra.telemetry.tracing import configure_tracing, shutdown_tracing
from projections.workspaces.queries import load_shares
from services.worker.built_in import WithBuiltIn
from services.worker.credential_parts import make_credential_parts
from services.worker.effects.credentials import Credentials
from services.worker.effects.http import HttpEffects
from services.worker.effects.interpreter import Interpreters
from services.worker.effects.mail import MailEffects
from services.worker.effects.redis import RedisEffects
from services.worker.effects.sql import SqlEffects
from services.worker.variables import WorkspaceVariables
from services.worker.versions import WorkflowVersions
from services.worker.worker import Worker
from services.worker.workspaces import WorkspaceShares


async def run(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT, then drain. A failure that it cannot mend raises."""
    name = settings.member or f"worker-{socket.gethostname()}"
    configure_logs(settings, name)
    configure_tracing(settings, name)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    stop_metrics = serve_metrics(settings)
    guard = EgressGuard(settings.egress_allow)
    connections = Connections()
    pool = await open_pool(settings.database_url, min_size=1, max_size=8, connections=connections)
    try:
        log = await open_log(settings.log, database_url=settings.database_url, prefix=settings.log_prefix)
        blobs = PostgresBlobs(pool)
        heart = PostgresHeartbeats(pool)
        await heart.beat(name, "worker", {})  # also of one that does not get far
        clock = LogClock()
        credentials = make_credential_parts(settings, pool, log, clock, HttpEffects(guard), name=name)
        try:
            interpreters = make_interpreters(guard, credentials.credentials)
            worker = Worker(
                log,
                PostgresCheckpoints(pool),
                blobs,
                WithBuiltIn(WorkflowVersions(pool, log, blobs)),
                partial(_positions, pool),
                name=name,
                max_effects=settings.max_effects,
                shares=WorkspaceShares(partial(load_shares, pool)),
                beat=partial(heart.beat, name, "worker"),
                links=Links(settings.own_url, load_secret_key(settings)),
                interpreters=interpreters,
                credential_desk=credentials.desk(interpreters),
                log_clock=clock,
                started=partial(_started, pool),
                compute_processes=max(1, (os.cpu_count() or 2) // 2),
                sandbox=Sandbox(),
                variables=WorkspaceVariables(pool, log, connections),
            )
            await worker.run(stop)
            await heart.leave(name, "worker")
        finally:
            await credentials.close()
            await log.close()
    finally:
        await pool.close()
        guard.close()
        stop_metrics()
        shutdown_tracing()


def make_interpreters(guard: EgressGuard, credentials: Credentials) -> Interpreters:
    """What performs each kind of effect in this worker; all connect through `guard` and open `credentials`."""
    return {
        HttpRequest: HttpEffects(guard, credentials),
        SqlQuery: SqlEffects(guard, credentials),
        RedisCommand: RedisEffects(guard, credentials),
        SendMail: MailEffects(guard, credentials),
    }


async def _started(pool: asyncpg.Pool, executions: Collection[str]) -> Collection[str]:
    rows = await pool.fetch("SELECT id::text FROM executions WHERE id = ANY($1::uuid[])", list(executions))
    return {row["id"] for row in rows}


async def _positions(pool: asyncpg.Pool) -> dict[tuple[str, int], int]:
    """How far the read models are, the slowest projection of each topic and partition."""
    rows = await pool.fetch(
        "SELECT topic, partition, min(next_offset) AS next_offset FROM positions GROUP BY topic, partition"
    )
    return {(row["topic"], row["partition"]): row["next_offset"] for row in rows}
