"""Which test catches which planted bug: the cheapest that must."""

from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent

TRACES = "tests/services/worker/test_traces.py"
FENCE = "tests/schemas/test_fence.py"
SWEEP = "tests/torture/test_crash_points.py::test_a_crash_at_any_point_loses_nothing[postgres]"


@dataclass(frozen=True, slots=True)
class Tooth:
    """`subject`: the rule of docs/log-protocol.md, or the checker of the torture run, that the bug offends."""

    name: str
    subject: str
    caught_by: str
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def patch(self) -> Path:
        return HERE / f"{self.name}.patch"


TEETH = (
    Tooth("rule-01-holes-are-ignored", "rule 1", f"{FENCE}::test_a_missing_or_repeated_record_is_an_error"),
    Tooth(
        "rule-02-an-epoch-is-an-offset-only",
        "rule 2",
        f"{FENCE}::test_the_same_offset_with_another_nonce_is_another_epoch",
    ),
    Tooth(
        "rule-03-a-reader-without-a-fence",
        "rule 3, C14",
        f"{TRACES}::test_trace_01_a_reader_drops_what_follows_a_commit_that_never_landed",
    ),
    Tooth("rule-03-the-ordinal-is-not-checked", "rule 3", f"{FENCE}::test_a_commit_that_landed_twice_counts_once"),
    Tooth(
        "void-answers-reach-callers",
        "rule 3, trace 11",
        "tests/services/api/test_void_answers.py::test_a_void_answer_reaches_nobody",
    ),
    Tooth(
        "rule-04-any-offset-is-believed",
        "rule 4",
        f"{TRACES}::test_trace_03_an_old_takeover_that_lands_voids_the_owner_until_it_announces_itself_anew",
    ),
    Tooth(
        "rule-05-the-tail-is-not-folded",
        "rule 5",
        f"{TRACES}::test_trace_05_an_owner_that_announces_itself_anew_folds_what_others_committed_meanwhile",
    ),
    Tooth(
        "rule-06-go-on-at-the-end-of-the-inputs",
        "rule 6",
        f"{TRACES}::test_trace_12_the_groups_offset_is_only_a_hint",
    ),
    Tooth("rule-07-cancels-go-first", "rule 7", f"{TRACES}::test_trace_17_a_cancel_cannot_overtake_its_start"),
    Tooth(
        "rule-08-a-decision-that-raises-takes-the-owner-down",
        "rule 8",
        f"{TRACES}::test_trace_14_a_decision_that_raises_is_recorded_as_failed_and_the_partition_goes_on",
    ),
    Tooth(
        "rule-09-effects-start-before-acceptance",
        "rule 9, C07",
        "tests/services/worker/test_acceptance.py::test_an_attempt_whose_commit_is_void_makes_no_call",
    ),
    Tooth(
        "rule-10-unsafe-calls-are-made-again",
        "rule 10, C08",
        "tests/services/worker/test_running.py::test_a_killed_worker_never_repeats_an_unsafe_call",
    ),
    Tooth(
        "rule-11-anybody-may-write-a-checkpoint",
        "rule 11",
        f"{TRACES}::test_trace_07_a_zombie_cannot_write_its_checkpoint",
    ),
    Tooth("rule-11-a-checkpoint-goes-back", "rule 11", f"{TRACES}::test_trace_07_a_checkpoint_never_goes_back"),
    Tooth(
        "rule-11-a-change-on-a-checkpoint-that-is-gone",
        "rule 11",
        "tests/services/worker/test_memory.py::test_a_change_is_refused_on_a_checkpoint_that_the_database_took_back",
    ),
    Tooth(
        "rule-12-positions-without-compare-and-set",
        "rule 12",
        "tests/services/projector/test_projector.py::test_a_batch_applied_twice_moves_nothing",
    ),
    Tooth(
        "rule-13-commands-of-a-dead-owner-are-forgotten",
        "rule 13",
        f"{TRACES}::test_trace_06_and_10_what_a_commit_wants_of_another_stream_is_sent_after_a_crash_too",
    ),
    Tooth(
        "rule-14-stale-inputs-are-decided",
        "rule 14",
        f"{TRACES}::test_rule_14_an_input_appended_too_late_is_refused",
    ),
    Tooth(
        "rule-14-closed-ids-are-forgotten",
        "rule 14, C04 (dedupe off)",
        f"{TRACES}::test_rule_14_the_same_start_is_answered_once_also_after_the_end_and_after_a_takeover",
    ),
    Tooth(
        "accepted-before-it-is-in-the-log",
        "C01 (commit before effect)",
        "tests/services/api/test_executions.py::test_a_log_that_is_away_is_503_and_comes_back",
    ),
    Tooth(
        "offset-in-a-transaction-of-its-own",
        "C12",
        SWEEP,
        {"LINKFLOW_TEST_POINTS": "projector.after_positions"},
    ),
    Tooth("an-end-is-recorded-twice", "C02", "tests/domain/execution/test_vectors.py"),
    Tooth(
        "no-tenant-filter-in-one-query",
        "C17",
        "tests/services/projector/test_queries.py::test_another_workspace_sees_nothing",
    ),
    Tooth(
        "an-idempotency-key-for-each-attempt",
        "C08",
        "tests/domain/execution/test_attempts.py::test_keys_come_from_execution_node_run_and_item_not_from_the_attempt",
    ),
    Tooth(
        "a-firing-is-named-by-its-tick",
        "C15",
        "tests/domain/schedule/test_decider.py::"
        "test_a_firing_starts_an_execution_under_ids_derived_from_schedule_and_due_time",
    ),
    Tooth("a-secret-is-bound-to-no-place", "S25", "tests/infra/test_vault.py::test_nothing_opens_in_another_place"),
    Tooth("a-secret-in-an-exception", "C18, S24", "tests/services/worker/test_credential_canaries.py::test_http"),
    Tooth(
        "a-dedup-key-counts-for-nothing",
        "C04",
        "tests/domain/inbox/test_decider.py::"
        "test_a_second_one_with_the_same_key_is_a_duplicate_until_the_first_is_so_old",
    ),
    Tooth(
        "a-place-under-a-limit-is-kept",
        "slots return to zero",
        "tests/domain/limit/test_limits.py::"
        "test_an_execution_begins_when_it_has_all_its_places_and_gives_them_back_at_its_end",
    ),
    Tooth(
        "one-try-more-than-allowed",
        "retries ≤ limit",
        "tests/domain/execution/test_attempts.py::test_only_failed_items_are_tried_again_and_attempts_count_all_tries",
    ),
)
