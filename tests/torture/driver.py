"""The clients: an open-loop load with a history in the manner of Jepsen (invoke, then ok, fail or info).

`fail` is said only where nothing can have been taken: the connection was refused, or a 4xx or `overloaded` came back.
A time-out, a reset, a 5xx is `info`: it may or may not have been taken.
"""

import asyncio
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp

from tests.torture.journal import Journal
from tests.torture.plan import Plan
from tests.torture.workflows import HOOKS, KINDS

ANSWER_SECONDS = 20.0
ENDED_SECONDS = 40.0
"""So long a client that wants to run something again waits for its end."""
TRIES = 8
"""So often a client asks that may ask until it knows."""
STARTING = frozenset({"start", "retry", "redeliver"})
"""What is answered with an execution."""
DEFINITE = frozenset({"overloaded"})
"""Codes of 503 that say that nothing was taken."""


@dataclass(frozen=True, slots=True)
class Place:
    """How a kind of workflow is started in a workspace. `path`: of its webhook, or of execute."""

    kind: str
    canary: str
    api_key: str
    workflow: str
    path: str


class Driver:
    """Starts executions over `apis` (name → URL) until told to stop."""

    def __init__(self, plan: Plan, apis: Mapping[str, str], places: list[Place], history: Journal) -> None:
        self._plan = plan
        self._apis = apis
        self._places = {(place.kind, place.canary): place for place in places}
        self._canaries = sorted({place.canary for place in places})
        self._history = history
        self._random = random.Random(f"driver {plan.seed}")
        self._calls: set[asyncio.Task[None]] = set()
        self._session: aiohttp.ClientSession | None = None
        self._op = 0
        self.started: list[tuple[str, str]] = []
        """(execution id, canary) of what was accepted, for the poller and the cancels."""

    async def __aenter__(self) -> "Driver":
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=500), timeout=aiohttp.ClientTimeout(total=ANSWER_SECONDS)
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        for call in self._calls:
            call.cancel()
        await asyncio.gather(*self._calls, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    async def load(self, first: int, count: int, rate: float) -> None:
        """Start the executions number `first` to `first + count`, `rate` a second, whatever the answers."""
        began = time.monotonic()
        for number in range(count):
            await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
            call = asyncio.create_task(self._one(first + number))
            self._calls.add(call)
            call.add_done_callback(self._calls.discard)

    async def settled(self) -> None:
        """Wait until no call is under way."""
        while self._calls:
            await asyncio.wait(set(self._calls))

    async def _one(self, number: int) -> None:
        chance = random.Random(f"{self._plan.seed} {number}")
        kind = chance.choices([each.name for each in KINDS], [each.share for each in KINDS])[0]
        place = self._places[kind, chance.choice(self._canaries)]
        key = f"{kind}-{self._plan.seed}-{number}"
        if kind in HOOKS:
            await self._deliver_hook(place, key, chance)
        elif chance.random() < 0.5:
            await self._keyed(place, key, chance)
        else:
            await self._start(place, key, chance, keyed=False)

    async def _deliver_hook(self, place: Place, key: str, chance: random.Random) -> None:
        """The same delivery one to four times, partly at once, as impatient senders do."""
        times = chance.randint(1, 4)
        together = chance.random() < 0.5
        if together:
            await asyncio.gather(
                *(self._start(place, key, random.Random(f"{key}{n}"), keyed=True) for n in range(times))
            )
        for _ in range(0 if together else times):
            await self._start(place, key, chance, keyed=True)
        await self._until_ok(place, key, chance)

    async def _keyed(self, place: Place, key: str, chance: random.Random) -> None:
        """With an Idempotency-Key a client may ask until it knows; some ask once more, some with another body."""
        taken = await self._until_ok(place, key, chance)
        if chance.random() < 0.2:
            await self._start(place, key, chance, keyed=True)
        if taken and chance.random() < 0.05:  # else the other body may be the first that is taken
            await self._start(place, key, chance, keyed=True, twist=True)

    async def _until_ok(self, place: Place, key: str, chance: random.Random) -> bool:
        for attempt in range(TRIES):
            if await self._start(place, key, chance, keyed=True) == "ok":
                return True
            await _pause(attempt, chance)
        return False

    async def _start(self, place: Place, key: str, chance: random.Random, *, keyed: bool, twist: bool = False) -> str:
        """One request; returns ok, fail or info."""
        content: dict[str, Any] = {"key": key, "canary": place.canary}
        if twist:
            content["other"] = True
        body = content if place.kind in HOOKS else {"input": content}
        headers = {"Authorization": f"Bearer {place.api_key}"} if place.kind not in HOOKS else {}
        if keyed and place.kind != "inbox":
            headers["Idempotency-Key"] = key
        outcome, answer = await self._call(
            "start", chance.choice(sorted(self._apis)), place.path, body, headers,
            kind=place.kind, canary=place.canary, key=key, keyed=keyed, twist=twist,
        )  # fmt: skip
        if outcome == "ok" and isinstance(answer, dict):
            self.started.append((str(answer["execution_id"]), place.canary))
            if chance.random() < 0.05:
                await asyncio.sleep(chance.uniform(0, 1.0))
                await self._cancel(place, str(answer["execution_id"]), chance)
            elif place.kind == "fails" and chance.random() < 0.5:
                await self._retry(place, key, str(answer["execution_id"]), chance)
            elif place.kind == "inbox" and random.Random(f"redeliver {key}").random() < 0.5:
                await self._redeliver(place, key, answer, chance)
        return outcome

    async def _redeliver(self, place: Place, key: str, answer: Mapping[str, Any], chance: random.Random) -> None:
        """Send what was taken again; asked for until it is known, under one key however often it was delivered."""
        delivery = str(answer.get("duplicate_of") or answer["delivery_id"])
        for attempt in range(TRIES):
            outcome, started = await self._call(
                "redeliver", chance.choice(sorted(self._apis)), f"/api/v1/deliveries/{delivery}/redeliver", {},
                {"Authorization": f"Bearer {place.api_key}", "Idempotency-Key": f"redeliver-{delivery}"},
                canary=place.canary, key=key, of=delivery,
            )  # fmt: skip
            if outcome == "ok":
                self.started.append((str(started["execution_id"]), place.canary))
                return
            await _pause(attempt, chance)

    async def _retry(self, place: Place, key: str, execution: str, chance: random.Random) -> None:
        """Run again what has failed, from its start or from the node; asked for until it is known, or twice."""
        if await self._state_of(place, execution, chance) != "failed":
            return
        origin, twice = chance.choice(["start", "failed_node"]), chance.random() < 0.5
        for attempt in range(TRIES):
            outcome, answer = await self._call(
                "retry", chance.choice(sorted(self._apis)), f"/api/v1/executions/{execution}/retry",
                {"from": origin},
                {"Authorization": f"Bearer {place.api_key}", "Idempotency-Key": f"retry-{execution}"},
                canary=place.canary, key=key, of=execution,
            )  # fmt: skip
            if outcome == "ok":
                self.started.append((str(answer["execution_id"]), place.canary))
                if not twice:
                    return
                twice = False
            await _pause(attempt, chance)

    async def _state_of(self, place: Place, execution: str, chance: random.Random) -> str:
        """As soon as it has ended; "" if that is not seen in time."""
        assert self._session is not None
        headers = {"Authorization": f"Bearer {place.api_key}"}
        deadline = time.monotonic() + ENDED_SECONDS
        while time.monotonic() < deadline:
            await asyncio.sleep(1.0)
            url = self._apis[chance.choice(sorted(self._apis))]
            try:
                async with self._session.get(f"{url}/api/v1/executions/{execution}", headers=headers) as response:
                    state = (await response.json(content_type=None)).get("status") if response.status == 200 else ""
            except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
                continue
            if state in {"completed", "failed", "cancelled", "timeout"}:
                return str(state)
        return ""

    async def _cancel(self, place: Place, execution: str, chance: random.Random) -> None:
        await self._call(
            "cancel", chance.choice(sorted(self._apis)), f"/api/v1/executions/{execution}/cancel", None,
            {"Authorization": f"Bearer {place.api_key}"}, execution=execution, canary=place.canary,
        )  # fmt: skip

    async def _call(
        self, op: str, api: str, path: str, body: Any, headers: dict[str, str], **facts: Any
    ) -> tuple[str, Any]:
        assert self._session is not None
        self._op += 1
        number = self._op
        await self._history.keep(type="invoke", n=number, at=time.time() * 1000, op=op, api=api, **facts)
        status, answer, execution = 0, None, facts.get("execution", "")
        try:
            async with self._session.post(self._apis[api] + path, json=body, headers=headers) as response:
                status = response.status
                answer = await response.json(content_type=None)
                outcome = _outcome(status, answer)
        except aiohttp.ClientConnectorError:
            outcome = "fail"
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
            outcome = "info"
        if outcome == "ok" and op in STARTING and isinstance(answer, dict):
            execution = answer.get("execution_id", "")
        code = answer.get("code", "") if isinstance(answer, dict) else ""
        await self._history.keep(
            type=outcome, n=number, at=time.time() * 1000, op=op, api=api, status=status, code=code,
            execution=execution, **{name: value for name, value in facts.items() if name != "execution"},
        )  # fmt: skip
        return outcome, answer


async def _pause(attempt: int, chance: random.Random) -> None:
    await asyncio.sleep(min(8.0, 0.3 * 2**attempt) * chance.uniform(0.5, 1.0))


def _outcome(status: int, answer: Any) -> str:
    if status < 300:
        return "ok"
    if status < 500:
        return "fail"
    code = answer.get("code") if isinstance(answer, dict) else ""
    return "fail" if code in DEFINITE else "info"
