"""Everything the routes work with, made once by the composition root."""

import hmac
from dataclasses import dataclass
from hashlib import sha256

from domain.execution.links import Links
from infra.blobs import BlobStore
from infra.log.clock import LogClock
from infra.log.port import Log
from infra.postgres.heartbeats import PostgresHeartbeats
from infra.postgres.pool import Pool
from infra.vault import Vault
from services.api.answers import Follower
from services.api.bindings import Bindings
from services.api.commands import Sender
from services.api.consents import Consents
from services.api.executions_view import ExecutionsView
from services.api.feed import Feed
from services.api.health import Health
from services.api.positions import Positions
from services.api.pressure import MOST_OPEN, MOST_QUEUED, MOST_UNDECIDED, Backlog, Pressure
from services.api.principal import Authenticator
from services.api.reads import Reads
from services.api.results import Results
from services.api.sessions import Sessions
from services.api.starts import Starter


@dataclass(frozen=True, slots=True)
class Parts:
    log: Log
    own_url: str
    links: Links
    reads: Reads
    sender: Sender
    follower: Follower
    positions: Positions
    backlog: Backlog
    bindings: Bindings
    starter: Starter
    results: Results
    view: ExecutionsView
    feed: Feed
    health: Health
    sessions: Sessions
    authenticator: Authenticator
    vault: Vault
    consents: Consents
    fingerprint_key: bytes


def make_parts(
    log: Log,
    pool: Pool,
    blobs: BlobStore,
    *,
    database_url: str,
    own_url: str,
    secret: bytes,
    vault: Vault,
    max_undecided: int = MOST_UNDECIDED,
    max_queued: int = MOST_QUEUED,
    max_open: int = MOST_OPEN,
) -> Parts:
    """Wire the parts together; nothing runs yet."""
    from infra.postgres.pool import open_connection

    async def connect() -> object:
        return await open_connection(database_url, application_name="linkflow api positions")

    reads = Reads(pool, blobs)
    clock = LogClock()
    sender = Sender(log, blobs, clock)
    follower = Follower(log, reads.fences, clock)
    positions = Positions(connect, reads.answered)
    bindings = Bindings(positions, reads.find_webhook, reads.workflow, reads.document)
    backlog = Backlog(PostgresHeartbeats(pool).all)
    pressure = Pressure(follower, backlog, limit=max_undecided, max_queued=max_queued, max_open=max_open)
    starter = Starter(sender, follower, reads, blobs, pressure, log.partitions)
    results = Results(follower, positions, reads, starter)
    sessions = Sessions(secret)
    feed = Feed(log, follower, positions, reads)
    follower.listeners.workflow_changed.append(bindings.workflow_changed)
    follower.listeners.lost.append(bindings.forget)
    follower.listeners.lost.append(feed.lost)
    follower.listeners.interested.append(feed.interested)
    follower.listeners.commit.append(feed.put)
    return Parts(
        log=log,
        own_url=own_url,
        links=Links(own_url, secret),
        reads=reads,
        sender=sender,
        follower=follower,
        positions=positions,
        backlog=backlog,
        bindings=bindings,
        starter=starter,
        results=results,
        view=ExecutionsView(reads),
        feed=feed,
        health=Health(log, follower, reads, lambda: backlog.heartbeats),
        sessions=sessions,
        authenticator=Authenticator(reads.find_api_key, sessions),
        vault=vault,
        consents=Consents(secret),
        fingerprint_key=hmac.digest(secret, b"linkflow:fingerprints", sha256),
    )
