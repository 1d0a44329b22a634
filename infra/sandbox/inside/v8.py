"""JavaScript by V8: compiles what runs long. A fresh isolate for every run, made ready while nobody waits.

Run-away code is not stopped in here: the worker has the process killed.
"""

import json
import queue

import lockdown
import wire
from javascript import ANSWER, START, program_for
from py_mini_racer._dll import init_mini_racer, mr_callback_func

_BYTES_OF_TEXT, _TEXT = 5, 5
_OUT_OF_MEMORY = 202
_FIRST_ERROR = 200
_V8 = 512 * 1024 * 1024
"""Private memory that V8 sets up for itself before any user's code, generously."""


class _Isolate:
    """One isolate with its context."""

    def __init__(self, library: object) -> None:
        self._library = library
        self._results: queue.SimpleQueue = queue.SimpleQueue()

        @mr_callback_func
        def answered(_number: int, handle: object) -> None:
            self._results.put(handle)

        self._answered = answered  # V8 keeps a pointer to it
        self._context = library.mr_init_context(answered)

    def evaluate(self, text: str) -> tuple[int, str]:
        """The type and text of what `text` evaluates to."""
        library, data = self._library, text.encode("utf-8", "replace")
        handle = library.mr_alloc_string_val(self._context, data, len(data), _TEXT)
        library.mr_eval(self._context, handle, 0)
        result = self._results.get()
        library.mr_free_value(self._context, handle)
        kind, value = result.contents.type, ""
        if kind == _BYTES_OF_TEXT or kind >= _FIRST_ERROR:
            value = result.contents.value.bytes_val[0 : result.contents.len].decode("utf-8", "replace")
        library.mr_free_value(self._context, result)
        return kind, value

    def limit(self, memory: int) -> None:
        self._library.mr_set_hard_memory_limit(self._context, memory)

    def close(self) -> None:
        self._library.mr_free_context(self._context)


def serve(channel: int, order: dict) -> None:
    """Run what comes until the worker has enough or a run used up its memory."""
    library = init_mini_racer(flags=("--single-threaded", "--no-expose-wasm"))
    _Isolate(library).evaluate("1")
    lockdown.limit(memory=order["memory"] + _V8, cpu_seconds=order["cpu_seconds"], address_space=False)
    lockdown.forbid_system_calls()
    isolate = _Isolate(library)
    while (received := wire.receive(channel)) is not None:
        header, job = received
        answer, spoilt = _run(isolate, header, job)
        wire.send(channel, wire.bounded(answer, header["output"]))
        isolate.close()
        if spoilt:
            return
        isolate = _Isolate(library)


def _run(isolate: _Isolate, header: dict, job: bytes) -> tuple[bytes, bool]:
    """The answer, and whether this process should serve no more."""
    isolate.limit(header["memory"])
    text = job.decode("utf-8", "replace")
    for step in (program_for(header) + f"\nglobalThis.__job = {json.dumps(text)}; 0", START + "; 0", ANSWER):
        kind, value = isolate.evaluate(step)
        if kind == _OUT_OF_MEMORY:
            return wire.failure(
                "out_of_memory", f"the code needs more than {header['memory'] >> 20} MB of memory"
            ), True
        if kind >= _FIRST_ERROR:
            return wire.failure("code_failed", value or "the code failed"), True
    return value.encode(), False
