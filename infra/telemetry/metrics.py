"""All Prometheus metrics of LinkFlow, in one place. `serve_metrics` offers them where there is no API.

Hot paths keep the child of a labelled metric (`DECISIONS.labels("executions", "accepted")`) instead of looking it up.
"""

from collections.abc import Callable
from typing import Final

from prometheus_client import Counter, Gauge, Histogram, start_http_server

from infra.settings import Settings

_FAST: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_SLOW: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_BYTES: Final = (256, 1_024, 4_096, 16_384, 65_536, 262_144, 1_048_576)
_COUNTS: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000)

# api
REQUESTS = Counter("linkflow_http_requests", "HTTP requests answered", ("route", "status"))
REQUEST_SECONDS = Histogram("linkflow_http_request_seconds", "Time from request to answer", ("route",), buckets=_FAST)
ACCEPTED = Counter("linkflow_accepted", "Requests that are in the log (202 and the like)", ("kind",))
REFUSED = Counter("linkflow_refused", "Requests turned away because the log or the process was busy", ("reason",))
WAITERS = Gauge("linkflow_waiting_callers", "Callers that wait for an answer from the log")
FEED_CLIENTS = Gauge("linkflow_feed_clients", "Clients connected to the live feed")

# log
APPEND_SECONDS = Histogram(
    "linkflow_append_seconds", "Time until an append was acknowledged", ("topic",), buckets=_FAST
)
APPEND_RECORDS = Histogram("linkflow_append_records", "Records of one append", ("topic",), buckets=_COUNTS)
APPEND_FAILURES = Counter("linkflow_append_failures", "Appends whose outcome is unknown or refused", ("topic", "code"))

# worker
DECISIONS = Counter("linkflow_decisions", "Commands decided", ("lane", "outcome"))
DECIDE_SECONDS = Histogram("linkflow_decide_batch_seconds", "Time to decide one batch", ("lane",), buckets=_FAST)
COMMITS = Counter("linkflow_commits", "Commits accepted by the log", ("lane",))
COMMIT_BYTES = Histogram("linkflow_commit_bytes", "Size of a commit", ("lane",), buckets=_BYTES)
LAG = Gauge("linkflow_input_lag", "Inputs of a partition not decided yet", ("lane", "partition"))
TAKEOVERS = Counter("linkflow_takeovers", "Partitions taken over", ("lane",))
RECOVERY_SECONDS = Histogram("linkflow_recovery_seconds", "Time from takeover to first decision", buckets=_SLOW)
OWNED = Gauge("linkflow_owned_partitions", "Partitions owned by this process", ("lane",))
OPEN_EXECUTIONS = Gauge("linkflow_open_executions", "Executions not ended yet, of the partitions owned here")
EFFECTS = Counter("linkflow_effects", "Effects performed", ("kind", "result"))
EFFECT_SECONDS = Histogram("linkflow_effect_seconds", "Time of one effect", ("kind",), buckets=_SLOW)
EFFECTS_IN_FLIGHT = Gauge("linkflow_effects_in_flight", "Effects under way now")
SANDBOX_SECONDS = Histogram(
    "linkflow_sandbox_seconds", "Time of one run of code in the sandbox", ("language",), buckets=_SLOW
)
COMPUTE_SECONDS = Histogram("linkflow_compute_seconds", "Time of one run in the compute pool", buckets=_SLOW)
DEAD_LETTERS = Counter("linkflow_dead_letters", "Records that could not be decoded or decided", ("code",))
CHECKPOINT_SECONDS = Histogram("linkflow_checkpoint_seconds", "Time to write a checkpoint", buckets=_FAST)

# projector
PROJECTED_EVENTS = Counter("linkflow_projected_events", "Events folded into read models")
PROJECTED_COMMITS = Counter("linkflow_projected_commits", "Commits folded into read models")
VOID_RECORDS = Counter("linkflow_void_records", "Records of an epoch that is over, dropped by a reader", ("role",))
PROJECTION_LAG = Gauge("linkflow_projection_lag_records", "Records not projected yet", ("topic", "partition"))
PROJECTION_LAG_SECONDS = Histogram(
    "linkflow_projection_lag_seconds", "Time from a commit's append until its rows are visible", buckets=_FAST
)
PROJECTION_SECONDS = Histogram("linkflow_projection_batch_seconds", "Time to write one batch of rows", buckets=_FAST)

# scheduler
LEADER = Gauge("linkflow_scheduler_leader", "1 where this process leads the scheduler")
TICKS = Counter("linkflow_ticks", "Ticks appended, all partitions together")
EVENTS_TOLD = Counter("linkflow_events_told", "Events sent to subscriptions, once for each that wants one")
TICK_AGE = Gauge("linkflow_tick_age_seconds", "Age of the latest tick seen by this process")
TICK_SKEW = Gauge("linkflow_tick_skew_seconds", "Tick time minus wall time of the leader")
CLOCKS_DIFFER = Gauge(
    "linkflow_clocks_differ_seconds",
    "By how much the clocks differ that retention asked; 0: it believes them",
)
JOB_SECONDS = Histogram(
    "linkflow_job_seconds",
    "Time of one run of a job of housekeeping",
    ("job", "result"),
    buckets=(*_SLOW, 600.0, 3600.0),
)


def serve_metrics(settings: Settings) -> Callable[[], None]:
    """Serve `/metrics` on LINKFLOW_METRICS_PORT (0: not at all); returns what stops it."""
    if not settings.metrics_port:
        return lambda: None
    server, thread = start_http_server(settings.metrics_port, settings.host)

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return stop
