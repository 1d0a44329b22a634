"""Requests and answers between the worker and a process of the sandbox: four bytes of length, then JSON.

A request is a header line `{"mode", "memory", "seconds", "output"}` and the job. An answer is either what the job's
program made, or `{"error": {"code", "message"}}`.
"""

import json
import os
import struct


def receive(channel: int) -> tuple[dict, bytes] | None:
    """The next header and job, None when the worker has closed the socket."""
    head = _exactly(channel, 4)
    if head is None:
        return None
    body = _exactly(channel, struct.unpack(">I", head)[0])
    if body is None:
        return None
    header, _, job = body.partition(b"\n")
    return json.loads(header), job


def send(channel: int, answer: bytes) -> None:
    data = memoryview(struct.pack(">I", len(answer)) + answer)
    while data:
        data = data[os.write(channel, data) :]


def failure(code: str, message: str) -> bytes:
    return json.dumps({"error": {"code": code, "message": message[:2_000]}}).encode()


def no_memory(limit: int) -> bytes:
    return failure("out_of_memory", f"the code needs more than {limit >> 20} MB of memory")


def bounded(answer: bytes, most: int) -> bytes:
    """The answer, or that it is too large."""
    if len(answer) <= most:
        return answer
    return failure("output_too_large", f"the code put out {len(answer):,} bytes; {most:,} are allowed")


def _exactly(channel: int, count: int) -> bytes | None:
    parts = []
    while count:
        part = os.read(channel, min(count, 1 << 20))
        if not part:
            return None
        parts.append(part)
        count -= len(part)
    return b"".join(parts)
