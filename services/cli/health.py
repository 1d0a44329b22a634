"""Asks the API of this machine how it is, with nothing but a socket: `up` stays small."""

import asyncio
import json
from typing import Any

_MAX_ANSWER = 64_000
_ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - listening addresses, not ours


async def is_ready(host: str, port: int) -> bool:
    status, _ = await read_health(host, port)
    return status == 200


async def read_health(host: str, port: int, *, seconds: float = 2.0) -> tuple[int, Any]:
    """Status and JSON of `GET /health/ready`; (0, None) if nobody answers in `seconds`. `host`: as the API listens."""
    try:
        async with asyncio.timeout(seconds):
            reader, writer = await asyncio.open_connection(_ANYWHERE.get(host, host), port)
            try:
                writer.write(b"GET /health/ready HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n")
                answer = await reader.read(_MAX_ANSWER)
                while len(answer) < _MAX_ANSWER and (more := await reader.read(_MAX_ANSWER)):
                    answer += more
            finally:
                writer.close()
        head, _, body = answer.partition(b"\r\n\r\n")
        status = int(head.split(b" ", 2)[1])
        return status, json.loads(body) if body else None
    except (OSError, TimeoutError, ValueError, IndexError):
        return 0, None
