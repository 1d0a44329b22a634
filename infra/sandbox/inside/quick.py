"""JavaScript by QuickJS: starts in a fraction of a millisecond, interprets. A fresh context for every run."""

import lockdown
import quickjs
import wire
from javascript import ANSWER, START, program_for

STACK = 512 * 1024
_PROGRAM_SECONDS = 5.0


def serve(channel: int, order: dict) -> None:
    """Run what comes until the worker has enough or a run used up its memory."""
    lockdown.limit(memory=order["memory"], cpu_seconds=order["cpu_seconds"], address_space=True)
    lockdown.forbid_system_calls()
    ready: dict = {}
    while (received := wire.receive(channel)) is not None:
        header, job = received
        answer, spoilt = run(header, job, ready.pop(header["mode"], None))
        wire.send(channel, wire.bounded(answer, header["output"]))
        if spoilt:
            return
        ready[header["mode"]] = fresh(header)  # for the next run, while nobody waits


def fresh(header: dict) -> quickjs.Context:
    """A context in which nothing of a user has run."""
    context = quickjs.Context()
    context.set_max_stack_size(STACK)
    context.set_time_limit(_PROGRAM_SECONDS)
    context.eval(program_for(header))
    return context


def run(header: dict, job: bytes, context: quickjs.Context | None = None) -> tuple[bytes, bool]:
    """The answer, and whether this process should serve no more."""
    try:
        context = context or fresh(header)
        context.set_memory_limit(header["memory"])
        context.set_time_limit(header["seconds"])
        context.set("__job", job.decode("utf-8", "surrogatepass"))
        context.eval(START)
        while context.execute_pending_job():
            pass
        return context.eval(ANSWER).encode("utf-8", "surrogatepass"), False
    except MemoryError:
        return wire.no_memory(header["memory"]), True
    except (quickjs.JSException, quickjs.StackOverflow) as error:
        return _explained(error, header)


def _explained(error: Exception, header: dict) -> tuple[bytes, bool]:
    text = str(error)
    if "interrupted" in text:
        return wire.failure("timeout", f"the code took longer than {header['seconds']:g} seconds"), False
    if "out of memory" in text or text in {"null", ""}:
        return wire.no_memory(header["memory"]), True
    return wire.failure("code_failed", text), True
