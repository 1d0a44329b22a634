"""C05, C06, C14, C19: what the log says of itself."""

from collections import Counter, defaultdict

from tests.torture.checkers.letters import wrong_letters
from tests.torture.evidence import Evidence, Verdict, verdict
from tests.torture.facts import COMMIT_TOPICS
from tests.torture.reference import Illegal, run_machine


def legal_transitions(evidence: Evidence) -> Verdict:
    """The reference machine accepts every execution."""
    wrong: list[str] = []
    streams = evidence.facts.executions()
    for events in streams.values():
        try:
            run_machine(events)
        except Illegal as why:
            wrong.append(str(why))
    return verdict("C05 legal_transitions", len(streams), wrong)


def stream_contiguous(evidence: Evidence) -> Verdict:
    """Versions of every stream are 1, 2, 3, … in the order of the log; offsets have no holes."""
    wrong = list(evidence.facts.problems)
    for name, events in evidence.facts.streams.items():
        versions = [event.version for event in events]
        if versions != list(range(1, len(versions) + 1)):
            wrong.append(f"{name}: versions {versions[:12]}")
        if len({event.commit.partition for event in events}) != 1:
            wrong.append(f"{name} lies in several partitions")
    return verdict("C06 stream_contiguous", len(evidence.facts.streams), wrong)


def fenced(evidence: Evidence) -> Verdict:
    """Epochs never go back, and what was voided was decided again: its input has an accepted answer, its caller's
    execution is not made of it."""
    wrong: list[str] = []
    last: dict[tuple[str, int], int] = defaultdict(lambda: -1)
    for commit in evidence.facts.commits:
        place = (commit.topic, commit.partition)
        if commit.epoch < last[place] or commit.epoch > commit.offset:
            wrong.append(f"{place} offset {commit.offset}: epoch {commit.epoch} after {last[place]}")
        last[place] = max(last[place], commit.epoch)
        if commit.value["epoch"][0] != commit.epoch:
            wrong.append(f"{place} offset {commit.offset}: header and record name different epochs")
    note = f"{len(evidence.facts.void)} void records, {len(evidence.facts.takeovers)} takeovers"
    return verdict(
        "C14 fenced",
        len(evidence.facts.commits),
        wrong,
        note,
    )


def inputs_balance(evidence: Evidence) -> Verdict:
    """Every input has exactly one accepted answer, in the order of the inputs; dead letters are answered, too."""
    wrong: list[str] = []
    answers: dict[tuple[str, int], list[int]] = defaultdict(list)
    outcomes: Counter[str] = Counter()
    for commit in evidence.facts.commits:
        if (answered := commit.value.get("answers")) is not None:
            topic = COMMIT_TOPICS[commit.topic]
            if not str(answered[0]).endswith(topic):
                wrong.append(f"{commit.topic}/{commit.partition} offset {commit.offset} answers {answered}")
            answers[topic, commit.partition].append(answered[1])
            outcome = commit.value.get("outcome") or {}
            outcomes[outcome.get("code") or outcome.get("kind") or "accepted"] += 1
    total = 0
    for place in {*evidence.facts.inputs, *answers}:
        inputs = [record.offset for record in evidence.facts.inputs.get(place, ())]
        total += len(inputs)
        given = answers[place]
        if given != inputs:
            missing = sorted(set(inputs) - set(given))
            doubled = [offset for offset, count in Counter(given).items() if count > 1]
            wrong.append(
                f"{place}: not answered {missing[:5]}, answered twice {doubled[:5]}, {len(given)}/{len(inputs)}"
            )
    return verdict("C19 dlq_balanced", total, [*wrong, *wrong_letters(evidence)], str(dict(outcomes)))
