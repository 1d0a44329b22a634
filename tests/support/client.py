"""A small client of LinkFlow's HTTP contract, for tests and benchmarks."""

from collections.abc import AsyncIterator
from types import TracebackType
from typing import Any

import aiohttp

Json = Any


class ApiError(AssertionError):
    """An answer that the caller did not want: its status and the problem document."""

    def __init__(self, status: int, problem: Json) -> None:
        super().__init__(f"{status}: {problem}")
        self.status = status
        self.problem = problem


class Client:
    """One API key's view. Every call raises ApiError on a status of 400 or more unless it says otherwise."""

    def __init__(self, url: str, key: str, *, connections: int = 100) -> None:
        self.url = url
        self._connections = connections
        self._headers = {"Authorization": f"Bearer {key}"}
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> "Client":
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        await self.close()

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def send(
        self,
        method: str,
        path: str,
        *,
        json: Json = None,
        data: bytes | None = None,
        headers: dict[str, str] | None = None,
        params: dict[str, str] | None = None,
    ) -> tuple[int, dict[str, str], Json]:
        """Any request; returns (status, lower-case headers, decoded JSON or text) and never raises for a status."""
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=self._connections, force_close=False)
            timeout = aiohttp.ClientTimeout(total=120)
            self._session = aiohttp.ClientSession(connector=connector, timeout=timeout, headers=self._headers)
        async with self._session.request(
            method, self.url + path, json=json, data=data, headers=headers, params=params
        ) as answer:
            body = await answer.json(content_type=None) if _is_json(answer) else await answer.text()
            return answer.status, {name.lower(): value for name, value in answer.headers.items()}, body

    async def ask(self, method: str, path: str, **more: Any) -> Json:
        status, _, body = await self.send(method, path, **more)
        if status >= 400:
            raise ApiError(status, body)
        return body

    async def create(self, document: Json, **headers: str) -> Json:
        return await self.ask("POST", "/api/v1/workflows", json=document, headers=headers)

    async def activate(self, workflow_id: str) -> Json:
        return await self.ask("POST", f"/api/v1/workflows/{workflow_id}/activate")

    async def deploy(self, document: Json) -> tuple[str, str]:
        """Create and activate; returns (workflow id, path of its webhook, or an empty text)."""
        workflow = await self.create(document)
        webhooks = (await self.activate(workflow["id"]))["webhooks"]
        return workflow["id"], f"/webhooks/{webhooks[0]['endpoint_id']}" if webhooks else ""

    async def execute(
        self, workflow_id: str, given: Json, *, wait: float | None = None, key: str | None = None
    ) -> Json:
        body: dict[str, Json] = {"input": given}
        if wait is not None:
            body["wait"] = wait
        headers = {"Idempotency-Key": key} if key is not None else {}
        return await self.ask("POST", f"/api/v1/workflows/{workflow_id}/execute", json=body, headers=headers)

    async def execution(self, execution_id: str) -> Json:
        return await self.ask("GET", f"/api/v1/executions/{execution_id}")

    async def cancel(self, execution_id: str) -> Json:
        return await self.ask("POST", f"/api/v1/executions/{execution_id}/cancel")

    async def executions(self, limit: int = 200, **filters: str) -> AsyncIterator[Json]:
        """All executions that match, newest first, page by page."""
        params = {**filters, "limit": str(limit)}
        while True:
            page = await self.ask("GET", "/api/v1/executions", params=params)
            for item in page["items"]:
                yield item
            if not page["next_cursor"]:
                return
            params["cursor"] = page["next_cursor"]

    async def statuses(self, workflow_id: str) -> dict[str, str]:
        """Execution id → status of all executions of a workflow."""
        return {each["id"]: each["status"] async for each in self.executions(workflow_id=workflow_id)}


def _is_json(answer: aiohttp.ClientResponse) -> bool:
    return answer.content_type.endswith("json")
