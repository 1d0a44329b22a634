"""Dead letters: recorded once, reviewed after ten minutes, sent again as something new, or discarded."""

from typing import Any

from domain.dead_letter import decider
from domain.dead_letter.commands import DiscardLetter, RecordLetter, RedriveLetter
from domain.dead_letter.decider import REVIEW_MS, STREAM, DeadLetter, letter_id
from domain.dead_letter.events import LetterDiscarded, LetterRecorded, LetterRedriven, LetterReviewed
from domain.decision import Decision, Resent
from domain.ticking import PassTime

ID = letter_id("linkflow.execution-commands", 3, 7)
STARTED = "execution-c1d1a9f0-1f0b-4a9e-9f2d-6f1f2d6d5e31"


def recorded(**fields: Any) -> RecordLetter:
    known: dict[str, Any] = {
        "code": "malformed_record", "reason": "no items", "at": 1_000, "command": "execution.start", "tv": 1,
        "stream": STARTED, "body": {"workflow_id": "w", "execution_id": STARTED[10:]}, "outside": {"items": "b1"},
    }  # fmt: skip
    return RecordLetter(topic="linkflow.execution-commands", partition=3, offset=7, **(known | fields))


class Given:
    def __init__(self, *commands: Any) -> None:
        self.state: DeadLetter | None = None
        for command in commands:
            self.do(command)

    def do(self, command: Any, now: int = 2_000) -> Decision:
        decision = decider.decide(command, self.state, workspace="w", stream_id=STREAM + ID, now=now)
        self.state = decider.restore(decider.snapshot(decision.state)) if decision.state is not None else None
        return decision


def test_a_letter_is_recorded_once_where_its_input_says() -> None:
    letter = Given()
    (event,) = letter.do(recorded()).events
    assert isinstance(event, LetterRecorded)
    assert (event.code, event.command, event.stream) == ("malformed_record", "execution.start", STARTED)
    assert letter.do(recorded(reason="again")).outcome.kind == "duplicate"
    elsewhere = decider.decide(recorded(), None, workspace="w", stream_id="letter-x", now=1)
    assert elsewhere.outcome.code == "wrong_stream"


def test_a_start_is_sent_again_as_a_new_execution() -> None:
    letter = Given(recorded())
    decision = letter.do(RedriveLetter(5_000, "key:1"))
    (sent,) = decision.commands
    assert isinstance(sent.command, Resent)
    new = sent.stream.removeprefix("execution-")
    assert sent.stream != STARTED
    assert sent.command == Resent(
        "execution.start", 1, {"workflow_id": "w", "execution_id": new, "retry_of": STARTED[10:]}, {"items": "b1"}
    )
    assert decision.events == [LetterRedriven(at=5_000, number=1, stream=sent.stream, by="key:1")]
    (second,) = letter.do(RedriveLetter(6_000)).commands
    assert second.stream not in {STARTED, sent.stream}
    assert second.id != sent.id


def test_anything_else_goes_where_it_was_to_go() -> None:
    letter = Given(recorded(command="execution.cancel", body={"reason": "x"}, outside={}))
    (sent,) = letter.do(RedriveLetter(5_000)).commands
    assert (sent.stream, sent.command) == (STARTED, Resent("execution.cancel", 1, {"reason": "x"}))


def test_what_could_not_be_read_cannot_be_sent_again() -> None:
    letter = Given(recorded(command="", body=None, outside={}, stream="", excerpt="garbage"))
    assert letter.do(RedriveLetter(5_000)).outcome.code == "not_redrivable"


def test_a_discarded_letter_is_over() -> None:
    letter = Given(recorded())
    assert letter.do(DiscardLetter(5_000, "key:1", "old")).events == [LetterDiscarded(5_000, "key:1", "old")]
    assert letter.do(DiscardLetter(5_000)).outcome.kind == "duplicate"
    assert letter.do(RedriveLetter(5_000)).outcome.code == "letter_discarded"
    assert letter.do(PassTime(1_000 + REVIEW_MS)).events == ()
    assert letter.state is not None
    assert decider.next_due(letter.state) is None


def test_the_review_tells_and_sends_only_what_is_safe() -> None:
    letter = Given(recorded())
    assert letter.state is not None
    assert decider.next_due(letter.state) == 1_000 + REVIEW_MS
    early = letter.do(PassTime(1_000), now=1_000)
    assert early.events == ()
    due = letter.do(PassTime(1_000 + REVIEW_MS), now=1_000 + REVIEW_MS)
    assert due.events == [LetterReviewed(1_000 + REVIEW_MS)]
    assert due.commands == ()
    safe = Given(recorded(code="missing_blob"))
    at = 1_000 + REVIEW_MS
    sent = safe.do(PassTime(at), now=at)
    assert [type(event) for event in sent.events] == [LetterReviewed, LetterRedriven]
    assert len(sent.commands) == 1
    by_hand = Given(recorded(code="missing_blob"), RedriveLetter(2_000, "key:1"))
    assert by_hand.do(PassTime(at), now=at).commands == ()


def test_a_letter_that_is_not_there_is_not_found() -> None:
    assert Given().do(RedriveLetter(1)).outcome.code == "letter_not_found"
