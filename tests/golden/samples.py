"""One object of every stored class with every field set: what golden records are made of, once.

When a class gets a new optional field, set it here and run `python -m tests.golden.add`: it adds a further record of
the same version and leaves the old ones alone.
"""

from typing import Any

from domain.credential import commands as cc
from domain.credential import events as ce
from domain.dead_letter import commands as dc
from domain.dead_letter import events as de
from domain.decision import OutgoingCommand, Outcome
from domain.effects import EffectError, ItemResult
from domain.execution import commands as ec
from domain.execution import events as ee
from domain.schedule import commands as hc
from domain.schedule import events as he
from domain.schedule.definition import Definition, Policies
from domain.schedule.timing import ByCron, ByInterval, Once
from domain.inbox import commands as ic
from domain.inbox import events as ie
from domain.inbox.gates import Debounce, Dedup, Delivery, Gates, Throttle
from domain.limit import commands as lc
from domain.limit import events as le
from domain.subscription import commands as uc
from domain.subscription import definition as ud
from domain.subscription import events as ue
from domain.variable import commands as vc
from domain.variable import events as ve
from domain.workflow import commands as wc
from domain.workflow import events as we
from domain.workspace import commands as sc
from domain.workspace import events as se
from schemas import envelope as env
from schemas.payloads import BlobCollector
from schemas.registry import command_record, encode_event, sent_command

WORKSPACE = "0b9a6c1e-5f1d-4a38-9d53-3f6d1f0c7a11"
WORKFLOW = "7d7a2c04-93b1-4a0f-8a58-0a3c0f7a9e21"
EXECUTION = "c1d1a9f0-1f0b-4a9e-9f2d-6f1f2d6d5e31"
KEY = "5a0f3c5e-8e0f-49f4-b7b0-1d2f9f2b6c41"
SEALED = "1.0123456789abcdef.bm9uY2Vub25jZWFuZGNpcGhlcnRleHRhbmR0YWc"
AT = 1_795_000_000_123
ITEMS: list[dict[str, Any]] = [
    {"json": {"text": "Größe 😀 \u2028", "number": -1.5e-7, "large": 9007199254740993, "null": None, "list": [True, {}]}},
    {"json": {}, "binary": {"file": {"id": "b1", "name": "a.pdf", "size": 3}}},
]
VARIABLES: dict[str, Any] = {"region": "eu1", "rates": {"vat": 0.19, "large": 9007199254740993}, "none": None}
SOURCES: list[ee.Source] = [("order", 0, "main", "main"), ("check", 2, "error", "input2")]
ORIGIN = ee.Origin(kind="parent", stream=f"execution-{EXECUTION}", node="call", run=1, item=0, ref="r1")
SLOT = ee.Slot(stream="limit-5f7a", key="customer 7", size=3, when_full="skip")
ERROR = ee.ErrorInfo(code="http_status", message="the server answered 503", node_id="check")
RESULTS = [
    ItemResult(index=0, value={"status": 200, "headers": {"content-type": "application/json"}, "body": {"ok": True}}),
    ItemResult(
        index=1,
        error=EffectError(code="timeout", message="no answer", retriable=False, unknown=True, retry_after_seconds=1.5),
    ),
]
DELIVERY = Delivery(
    id=KEY, endpoint_id="Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6", workflow_id=WORKFLOW, workflow_version=3, node="order",
    received_at=AT, priority="high", reply="with_node", keyed=True, fingerprint="0123456789abcdef", size=345,
    content="33112233445566778899aabbccddeeff",
)  # fmt: skip
GATES = Gates(
    dedup=Dedup("00112233445566778899aabbccddeeff", 86_400_000),
    throttle=Throttle("11112233445566778899aabbccddeeff", 10, 60_000, "delay"),
    debounce=Debounce("22112233445566778899aabbccddeeff", 5_000, 60_000),
)
DOCUMENT: dict[str, Any] = {
    "name": "Order intake",
    "nodes": [
        {"id": "order", "type": "webhook", "parameters": {"method": "POST", "respond": "with_node"}},
        {"id": "total", "type": "set", "parameters": {"fields": {"total": "{{ $json.body.price * $json.body.amount }}"}}},
    ],
    "connections": [{"from": "order", "to": "total"}],
    "settings": {"timezone": "Europe/Berlin", "timeout_seconds": 300, "priority": "normal"},
}
SCHEDULE = "2e4d1a70-6c1b-4f7e-8b25-5d0c9a3e7b81"
FIRING = "8c6f2b1e-0d9a-5e4b-9f37-1a2b3c4d5e91"
POLICIES = Policies(
    missed="all", missed_limit=5, grace_seconds=30, overlap="queue", queue_limit=3, jitter_seconds=20
)
BY_CRON = Definition(
    workflow_id=WORKFLOW, name="Nightly", timing=ByCron("30 2 * * 1-5", "Europe/Berlin"), policies=POLICIES,
    input={"customer": "Größe"}, description="Every working night", node="nightly", of_workflow=True,
)
BY_INTERVAL = Definition(workflow_id=WORKFLOW, name="Often", timing=ByInterval(900, AT, "Asia/Tokyo"))
ONCE = Definition(workflow_id=WORKFLOW, name="Once", timing=Once(AT, "America/New_York"))

SUBSCRIPTION = "6d1f0c52-7a0e-4f6b-8a55-0f3f5b7f9c11"
TOLD = "0c7d9a34-5a41-5c39-9a0e-2f8c3b1d7e66"
BY_WEBHOOK = ud.Definition(
    name="Orders that failed", events=["execution.failed", "dead_letter.*"],
    channel=ud.WebhookChannel(url="https://hooks.example.com/linkflow", credential_id=KEY), description="to the shop",
    workflow_id=WORKFLOW, include_output=True, disable_failures=3, disable_minutes=0,
)
BY_EMAIL = ud.Definition(
    name="Mail", events=["*"], channel=ud.EmailChannel(to=["ops@example.com"], credential_id=KEY)
)
BY_SLACK = ud.Definition(
    name="Chat", events=["execution.*"],
    channel=ud.SlackChannel(credential_id=KEY, credential="slack", channel="#operations"),
)
NOTICE = uc.Notice(
    id=KEY, type="execution.failed", at=AT, workspace_id=WORKSPACE,
    data={"execution_id": EXECUTION, "error": {"code": "http_status", "message": "the server answered 503"}},
    cursor="AQIDBA",
)

EVENTS: list[Any] = [
    ee.ExecutionQueued(
        workflow_id=WORKFLOW, workflow_version=3, trigger_node="order", trigger_type="webhook", items=ITEMS,
        queued_at=AT, priority="high", fingerprint="f1", reply="with_node", retry_of=EXECUTION,
        origin=ORIGIN, depth=2, error_workflow=WORKFLOW,
        retry_count=2, begin_at=AT + 4_000, first=EXECUTION, slots=[SLOT], variables=VARIABLES,
    ),
    ee.SlotsAsked(),
    ee.SlotGranted(stream=SLOT.stream, key=SLOT.key),
    ee.ExecutionStarted(started_at=AT, deadline=AT + 300_000),
    ee.NodeAttempted(
        node="check", run=2, attempt=1, effect_class="idempotent", indexes=[0, 1], start_by=AT + 5_000,
        unknown_after=AT + 40_000, sources=SOURCES,
    ),
    ee.AttemptConcluded(node="check", run=2, attempt=1, results=RESULTS, late=True),
    ee.RetryScheduled(node="check", run=2, due=AT + 1_000, indexes=[1], system=True),
    ee.NodeWaiting(
        node="pause", run=0, due=AT + 60_000, items=ITEMS, sources=SOURCES,
        call=ee.CallAwaited(kind="approval", title="Ship?", message="Größe 😀"),
    ),
    ee.NodeCompleted(node="large", run=1, outputs={"true": ITEMS, "false": [{"json": {"a": 1}}]}, sources=SOURCES, attempts=2, taken=True),
    ee.NodeFailed(node="check", run=0, error=ERROR, sources=SOURCES, attempts=3),
    ee.NodeOutcomeUnknown(node="check", run=0, attempt=3, indexes=[0], asked=True, waiting_for=[0, 2]),
    ee.VerdictGiven(node="check", run=0, verdict="run_again", indexes=[0], left=[2]),
    ee.NodePrepared(node="check", run=0, values={"new Date()": [["v", "2026-11-27T10:00:00.000Z"], ["e", "expression_type", "no"]]}),
    ee.NodeCancelled(node="pause", run=0),
    ee.ResponseGiven(node="answer", status=201, headers={"x-order": "7"}, body={"ok": True, "list": [1, None]}),
    ee.ExecutionParked(at=AT),
    ee.ExecutionResumed(at=AT, deadline=AT + 1),
    ee.ExecutionRecovered(at=AT, reason="interrupted", count=3, in_a_row=1),
    ee.ExecutionCompleted(output=ITEMS, at=AT),
    ee.ExecutionFailed(error=ERROR, at=AT),
    ee.ExecutionCancelled(at=AT, reason="not needed any more"),
    ee.ExecutionTimedOut(at=AT, error=ERROR),
    we.WorkflowCreated(name="Order intake", document=DOCUMENT, at=AT, fingerprint="f2"),
    we.WorkflowVersionAdded(version=2, name="Order intake", document=DOCUMENT, at=AT),
    we.WorkflowActivated(
        version=2, at=AT,
        webhooks=[we.WebhookBinding(endpoint_id="Zm9vYmFyYmF6cXV1eDEyMw", node="order", method="POST", respond="with_node")],
    ),
    we.WorkflowDeactivated(at=AT),
    we.WorkflowArchived(at=AT),
    ve.VariableCreated(
        name="region", value=VARIABLES["rates"], version=3, at=AT, description="Größe 😀", request_id=KEY, fingerprint="f4"
    ),
    ve.VariableChanged(name="region", value=None, version=4, at=AT, description="where"),
    ve.VariableDeleted(name="region", version=5, at=AT),
    se.WorkspaceCreated(name="Acme", at=AT),
    se.ApiKeyAdded(key_id=KEY, key_hash="ab" * 32, prefix="lf_abcd", name="deploy", at=AT),
    se.ApiKeyRevoked(key_id=KEY, at=AT),
    se.ShareSet(at=AT, weight=2.5, concurrent=10),
    se.RetentionSet(at=AT, days=30, payload_days=7),
    de.LetterRecorded(
        topic="linkflow.execution-commands", partition=3, offset=7, code="malformed_record", reason="no items", at=AT,
        excerpt="{", command="execution.start", tv=1, stream=f"execution-{EXECUTION}", body={"x": [1]}, outside={"items": "b1"},
    ),
    de.LetterReviewed(at=AT),
    de.LetterRedriven(at=AT, number=1, stream=f"execution-{EXECUTION}", by="key:1"),
    de.LetterDiscarded(at=AT, by="key:1", reason="old"),
    le.SlotGiven(execution_id=EXECUTION, key="customer 7", size=3),
    le.SlotAwaited(execution_id=EXECUTION, key="customer 7", size=3, priority="high"),
    le.SlotRefused(execution_id=EXECUTION, key="customer 7"),
    le.SlotReturned(execution_id=EXECUTION, key="customer 7"),
    ie.DeliveryAccepted(delivery=DELIVERY, gates=GATES, execution_id=EXECUTION, at=AT),
    ie.DeliveryHeld(delivery=DELIVERY, gates=GATES, at=AT, due=AT + 5_000, items=ITEMS),
    ie.DeliveryBegun(delivery_id=KEY, execution_id=EXECUTION, at=AT),
    ie.DeliverySuperseded(delivery_id=KEY, by=EXECUTION, at=AT),
    ie.DeliveryDuplicated(delivery=DELIVERY, first=EXECUTION, at=AT, items=ITEMS, until=AT + 60_000, same=True),
    ie.DeliveryRefused(
        delivery=DELIVERY, code="throttled", reason="2 in 1 seconds have begun", at=AT, retry_at=AT + 900, items=ITEMS,
        excerpt="{", more=17,
    ),
    ie.InboxCleared(at=AT),
    ee.ChildrenStarted(
        node="call", run=1, children=[ee.StartedChild(item=0, execution_id=EXECUTION, workflow_id=WORKFLOW)],
        awaited=False, due=AT + 60_000, sources=SOURCES,
    ),
    ee.ChildConcluded(node="call", run=1, item=0, child=EXECUTION, status="failed", output=ITEMS, error=ERROR),
    ce.CredentialCreated(
        type="http_basic", name="Shop", fields={"user": "order"}, sealed={"password": SEALED}, at=AT,
        description="orders", fingerprint="f3",
    ),
    ce.CredentialUpdated(
        version=2, name="Shop", fields={"user": "orders"}, sealed={"password": SEALED}, at=AT, description="orders",
        disconnected=True,
    ),
    ce.CredentialDeleted(at=AT),
    ce.CredentialResealed(sealed={"password": SEALED}, at=AT),
    ce.ConnectionBegun(state_id="s1", expires=AT + 600_000, at=AT),
    ce.TokensStored(
        sealed={"access_token": SEALED, "refresh_token": SEALED}, generation=2, at=AT, expires_at=AT + 3_600_000,
        scope="read write", state_id="s1",
    ),
    ce.ConnectionEnded(code="oauth2_refused", message="the provider refused it", at=AT, state_id="s1"),
    ce.CredentialUsed(at=AT),
    ce.CredentialTested(test_id="t1", ok=False, at=AT, code="timeout", message="no answer"),
    he.ScheduleCreated(definition=BY_CRON, at=AT, fingerprint="f3", revision=2, seed=7),
    he.ScheduleChanged(definition=BY_INTERVAL, at=AT, revision=3, again=True),
    he.SchedulePaused(at=AT, reason="holidays"),
    he.ScheduleResumed(at=AT),
    he.ScheduleEnded(at=AT, reason="no_more", revision=4),
    he.ScheduleDeleted(at=AT),
    he.ScheduleArmed(after=AT, due=AT + 60_000, local="2026-03-29T02:30:00", rule="gap"),
    he.ScheduleFired(
        firing_id=FIRING, due=AT, local="2026-10-25T02:30:00", at=AT + 2_000, late_by=1_000, execution_id=EXECUTION,
        number=12, rule="overlap", jitter=1_000, backfill=KEY,
    ),
    he.FiringDeferred(firing_id=FIRING, due=AT, local="2026-11-01T02:30:00", at=AT, execution_id=EXECUTION, rule="overlap"),
    he.FiringsSkipped(
        firing_id=FIRING, first_due=AT, last_due=AT + 60_000, first_local="2026-11-01T02:30:00",
        last_local="2026-11-01T02:31:00", count=2, reason="missed", at=AT, more=True, execution_id=EXECUTION, rule="gap",
    ),
    he.FiringSuppressed(
        firing_id=FIRING, due=AT, first_local="2026-03-29T02:00:00", last_local="2026-03-29T02:45:00", count=4,
        rule="gap", at=AT,
    ),
    he.ExecutionNoted(firing_id=FIRING, execution_id=EXECUTION, status="refused", at=AT, message="workflow_not_found: …"),
    he.BackfillStarted(backfill_id=KEY, since=AT - 86_400_000, until=AT, total=24, per_minute=30, at=AT, fingerprint="f4"),
    he.BackfillEnded(backfill_id=KEY, status="cancelled", at=AT),
    ue.SubscriptionCreated(definition=BY_WEBHOOK, at=AT, fingerprint="f5"),
    ue.SubscriptionChanged(definition=BY_EMAIL, at=AT),
    ue.SubscriptionPaused(at=AT, reason="holidays"),
    ue.SubscriptionResumed(at=AT),
    ue.SubscriptionDisabled(
        name="Orders that failed", channel="webhook", at=AT, reason="failures", failures=10, since=AT - 600_000,
        code="http_status", message="the server answered 503: no body", ends_waiting=True,
    ),
    ue.SubscriptionDeleted(at=AT),
    ue.DeliveryQueued(
        delivery_id=TOLD, notice=NOTICE, at=AT, source="linkflow.executions/3", offset=7, place=2, test=True
    ),
    ue.DeliveryRequeued(delivery_id=TOLD, notice=NOTICE, redelivery_id=KEY, at=AT, fingerprint="f0"),
    ue.DeliveryStarted(delivery_id=TOLD, execution_id=EXECUTION, at=AT),
    ue.DeliveryEnded(
        delivery_id=TOLD, execution_id=EXECUTION, status="failed", at=AT, code="http_status",
        message="the server answered 503: no body", response_status=503, failures=3, failing_since=AT - 1,
    ),
    ue.DeliveryDropped(delivery_id=TOLD, at=AT, code="too_many_waiting"),
]

COMMANDS: list[Any] = [
    ec.StartExecution(
        execution_id=EXECUTION, workflow_id=WORKFLOW, workflow_version=3, trigger_node="order", trigger_type="webhook",
        items=ITEMS, queued_at=AT, priority="low", fingerprint="f1", reply="when_done", retry_of=EXECUTION,
        origin=ORIGIN, depth=2,
        retry_count=2, begin_at=AT + 4_000, first=EXECUTION,
        taken_runs=[ec.TakenRun(node="order", run=0, outputs={"main": ITEMS}, sources=SOURCES, attempts=1)],
        variables=VARIABLES,
    ),
    ec.CancelExecution(reason="not needed any more"),
    ec.GiveVerdict(node="check", run=0, verdict="happened", result={"ok": True}, items=[0, 2]),
    wc.CreateWorkflow(workflow_id=WORKFLOW, document=DOCUMENT, at=AT, fingerprint="f2"),
    wc.UpdateWorkflow(document=DOCUMENT, at=AT, expected_version=1),
    wc.ActivateWorkflow(at=AT, new_endpoints={"order": "Zm9vYmFyYmF6cXV1eDEyMw"}, version=2),
    wc.DeactivateWorkflow(at=AT),
    wc.ArchiveWorkflow(at=AT),
    vc.CreateVariable(
        name="region", value=VARIABLES["rates"], at=AT, description="Größe 😀", request_id=KEY, fingerprint="f4"
    ),
    vc.SetVariable(name="region", value=["eu1", None], at=AT, description="where", expected_version=3),
    vc.DeleteVariable(name="region", at=AT, expected_version=4),
    sc.CreateWorkspace(workspace_id=WORKSPACE, name="Acme", at=AT),
    sc.AddApiKey(key_id=KEY, key_hash="ab" * 32, prefix="lf_abcd", name="deploy", at=AT),
    sc.RevokeApiKey(key_id=KEY, at=AT),
    cc.CreateCredential(
        credential_id=KEY, type="http_basic", name="Shop", fields={"user": "order"}, sealed={"password": SEALED}, at=AT,
        description="orders", fingerprint="f3",
    ),
    cc.UpdateCredential(
        name="Shop", fields={"user": "orders"}, sealed={}, kept=["password"], at=AT, description="orders",
        expected_version=1,
    ),
    cc.DeleteCredential(at=AT),
    cc.ResealCredential(sealed={"password": SEALED}, revision=2, at=AT),
    cc.ConnectCredential(
        state_id="s1", sealed={"code": SEALED, "verifier": SEALED}, redirect_uri="https://linkflow.example/oauth2/callback",
        expires=AT + 600_000, at=AT,
    ),
    cc.StoreTokens(
        sealed={"access_token": SEALED, "refresh_token": SEALED}, generation=1, at=AT, expires_at=AT + 3_600_000,
        scope="read write", state_id="s1",
    ),
    cc.EndConnection(code="oauth2_refused", message="the provider refused it", at=AT, generation=1, state_id="s1"),
    cc.NoteCredentialUsed(at=AT),
    cc.TestCredential(test_id="t1", at=AT, url="https://shop.example/me"),
    cc.ConcludeTest(test_id="t1", ok=False, at=AT, code="timeout", message="no answer"),
    hc.CreateSchedule(schedule_id=SCHEDULE, definition=BY_CRON, at=AT, fingerprint="f3"),
    hc.UpdateSchedule(definition=ONCE, at=AT),
    hc.PauseSchedule(at=AT, reason="holidays"),
    hc.ResumeSchedule(at=AT),
    hc.DeleteSchedule(at=AT),
    hc.EnsureSchedule(definition=BY_CRON, revision=2, at=AT),
    hc.EndSchedule(revision=3, at=AT, reason="workflow archived"),
    hc.NoteExecutionEnded(execution_id=EXECUTION, ref=FIRING, status="failed", at=AT, message="http_status: 503"),
    hc.StartBackfill(backfill_id=KEY, since=AT - 86_400_000, until=AT, at=AT, per_minute=30, fingerprint="f4"),
    hc.CancelBackfill(backfill_id=KEY, at=AT),
    sc.SetShare(at=AT, weight=2.5, concurrent=10),
    sc.SetRetention(at=AT, days=30, payload_days=7),
    dc.RecordLetter(
        topic="linkflow.execution-commands", partition=3, offset=7, code="malformed_record", reason="no items", at=AT,
        excerpt="{", command="execution.start", tv=1, stream=f"execution-{EXECUTION}", body={"x": [1]}, outside={"items": "b1"},
    ),
    dc.RedriveLetter(at=AT, by="key:1"),
    dc.DiscardLetter(at=AT, by="key:1", reason="old"),
    lc.RequestSlot(execution_id=EXECUTION, key="customer 7", size=3, priority="high", when_full="skip"),
    lc.ReleaseSlot(execution_id=EXECUTION, key="customer 7"),
    ic.ReceiveDelivery(delivery=DELIVERY, gates=GATES, items=ITEMS, taken=True, bare=True),
    ic.RefuseDelivery(
        delivery=DELIVERY, code="malformed_json", reason="no JSON", items=ITEMS, excerpt="{", more=17
    ),
    ec.GrantSlot(stream=SLOT.stream, key=SLOT.key),
    ec.RefuseSlot(stream=SLOT.stream, key=SLOT.key),
    ec.ConcludeAttempt(node="check", run=2, attempt=1, results=RESULTS),
    ec.AttemptNotStarted(node="check", run=2, attempt=1),
    ec.ResumeWait(
        node="pause", run=0, kind="approval", expires=AT, method="POST", items=ITEMS, approved=True, comment="go",
    ),
    ec.ConcludeChild(node="call", run=1, item=0, child=EXECUTION, status="failed", output=ITEMS, error=ERROR),
    uc.CreateSubscription(subscription_id=SUBSCRIPTION, definition=BY_SLACK, at=AT, fingerprint="f5"),
    uc.ChangeSubscription(definition=BY_EMAIL, at=AT),
    uc.PauseSubscription(at=AT, reason="holidays"),
    uc.ResumeSubscription(at=AT),
    uc.DeleteSubscription(at=AT),
    uc.TellEvents(
        source="linkflow.executions/3", notices=[uc.PlacedNotice(offset=7, place=2, notice=NOTICE)], at=AT
    ),
    uc.SendTest(delivery_id=TOLD, at=AT),
    uc.Redeliver(redelivery_id=KEY, deliveries=[uc.Redelivery(delivery_id=TOLD, notice=NOTICE)], at=AT, fingerprint="f0"),
    uc.NoteDeliveryEnded(
        execution_id=EXECUTION, delivery_id=TOLD, status="failed", at=AT, code="http_status",
        message="the server answered 503: no body", response_status=503,
    ),
]

OWNER_COMMANDS: list[Any] = [
    ec.Begin(),
    ec.ConcludeCompute(node="total", run=0, result={"main": ITEMS}, error=ERROR),
    ec.PassTime(),
    ec.Resume(),
]
"""Commands that never stand on the log; their names and data are pinned all the same (tools and traces show them)."""


def record_of(command: Any) -> env.CommandRecord:
    return command_record(
        command, id="3f0f6c8e-7b8f-4a54-8a55-0b8f6f3a1c51", stream=f"execution-{EXECUTION}", workspace=WORKSPACE,
        made=AT, actor="key:5a0f3c5e", correlation="req-1",
    )


def spilled() -> env.EventRecord:
    """A record whose field is stored outside."""
    return encode_event(EVENTS[13], spill=BlobCollector(WORKSPACE), over=100)


def envelopes() -> dict[str, tuple[env.Headers, Any]]:
    """Name → headers and record of every kind of envelope, every field set."""
    stream = f"execution-{EXECUTION}"
    start = OutgoingCommand("9a1b6c8e-7b8f-4a54-8a55-0b8f6f3a1c61", stream, COMMANDS[1])
    commit = env.CommitRecord(
        id="1e0f6c8e-7b8f-4a54-8a55-0b8f6f3a1c71", stream=stream, version=4, epoch=env.Epoch(17, "n0nce"), n=5,
        workspace=WORKSPACE, time=AT, events=[encode_event(EVENTS[1]), spilled()],
        outcome=Outcome(kind="rejected", code="version_conflict", message="somebody was faster", problems=[("name", "is long")], retry_after=1_500),
        answers=env.Answers("linkflow.execution-commands", 41), cause="3f0f6c8e-7b8f-4a54-8a55-0b8f6f3a1c51",
        correlation="req-1", actor="key:5a0f3c5e", queued_at=AT, commands=[sent_command(start)], delivers=True,
    )
    return {
        "envelope.command": (
            (("k", b"c"), ("i", b"3f0f6c8e"), ("w", WORKSPACE.encode()), ("s", stream.encode()), ("r", b"reply"),
             ("t", b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")),
            record_of(COMMANDS[0]),
        ),
        "envelope.commit": (
            (("k", b"m"), ("w", WORKSPACE.encode()), ("s", stream.encode()), ("e", b"17:n0nce"), ("n", b"5"),
             ("c", b"3f0f6c8e"), ("r", b"reply")),
            commit,
        ),
        "envelope.takeover": (
            (("k", b"o"), ("o", b"n0nce")),
            env.TakeoverRecord(nonce="n0nce", owner="worker-1", time=AT),
        ),
        "envelope.tick": ((("k", b"t"),), env.TickRecord(time=AT, leader="scheduler-1")),
        "envelope.dead_letter": (
            (("k", b"d"), ("w", WORKSPACE.encode())),
            env.DeadLetterRecord(
                topic="linkflow.commands", partition=3, offset=9, code="malformed_record", reason="not JSON", time=AT,
                value=b"\xff{", headers=[("k", b"c")], workspace=WORKSPACE,
            ),
        ),
    }
