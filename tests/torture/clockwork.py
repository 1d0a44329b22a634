"""Schedules that run through the storm: in each workspace ten at an interval of ten seconds and ten at full minutes."""

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from tests.support.client import ApiError, Client
from tests.torture.plan import Plan

EACH = 10
TIMINGS: tuple[dict[str, Any], ...] = ({"every": {"seconds": 10}}, {"cron_expression": "* * * * *"})
DOCUMENT = {
    "name": "clockwork",
    "nodes": [
        {"id": "start", "type": "manual"},
        {"id": "in", "type": "set", "parameters": {"fields": {"key": "{{ $json.input_data.key }}"}, "keep": False}},
    ],
    "connections": [{"from": "start", "to": "in"}],
}
KIND = "clock"
"""What the keys of their executions begin with: nobody asks for these executions."""
PATIENCE = 60.0

Wound = list[tuple[str, str]]
"""(canary, schedule id)"""


async def wind(plan: Plan, url: str, keys: Mapping[str, str]) -> Wound:
    """Make the schedules. Every missed run is made up for, so that the reference is simple."""
    wound: Wound = []
    for canary, api_key in keys.items():
        async with Client(url, api_key) as client:
            workflow, _ = await client.deploy(DOCUMENT)
            for number in range(EACH * len(TIMINGS)):
                body = {
                    "workflow_id": workflow,
                    "name": f"{KIND} {number}",
                    **TIMINGS[number % len(TIMINGS)],
                    "missed_runs": {"policy": "all", "limit": 1000},
                    "input_data": {"key": f"{KIND}-{plan.seed}-{canary}-{number}", "canary": canary},
                }
                key = f"{KIND} {plan.seed} {number}"
                made = await _insist(client, "/api/v1/schedules", json=body, headers={"Idempotency-Key": key})
                wound.append((canary, made["id"]))
    return wound


async def stop(url: str, keys: Mapping[str, str], wound: Wound) -> None:
    """Pause all of them; what is due by then fires first."""
    clients = {canary: Client(url, key) for canary, key in keys.items()}
    try:
        for canary, schedule in wound:
            await _insist(clients[canary], f"/api/v1/schedules/{schedule}/pause")
    finally:
        for client in clients.values():
            await client.close()


async def _insist(client: Client, path: str, **more: Any) -> Any:
    """Ask until it is answered: what is asked may be asked twice."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            return await client.ask("POST", path, **more)
        except (ApiError, OSError, TimeoutError):
            if time.monotonic() > until:
                raise
            await asyncio.sleep(0.5)
