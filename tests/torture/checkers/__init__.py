"""What must be true after the storm. Nothing here imports the product."""

from collections.abc import Callable

from tests.torture.checkers import effects, reading, requests, running, schedules, sealed, streams
from tests.torture.evidence import Evidence, Verdict
from tests.torture.slopes import grows_nowhere


def leaks(evidence: Evidence) -> Verdict:
    """C22: by slopes where the run is long enough for them."""
    return grows_nowhere(evidence) if evidence.plan.size == "soak" else running.no_leaks(evidence)


CHECKERS: tuple[Callable[[Evidence], Verdict], ...] = (
    requests.acked_is_durable,
    requests.terminal_exactly_once,
    requests.no_phantom,
    requests.idempotency_holds,
    streams.legal_transitions,
    streams.stream_contiguous,
    effects.effect_has_intent,
    effects.effect_bound,
    effects.effect_not_invented,
    reading.read_model_is_fold,
    reading.rebuild_is_live,
    reading.checkpoint_atomic,
    reading.monotonic_reads,
    streams.fenced,
    schedules.schedule_exact,
    sealed.tenant_sealed,
    sealed.no_secret_leak,
    streams.inputs_balance,
    running.recovers,
    leaks,
    running.run_is_valid,
)


def check(evidence: Evidence) -> list[Verdict]:
    return [checker(evidence) for checker in CHECKERS]
