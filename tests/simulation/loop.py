"""An event loop in which time is a number and the order of everything that is ready is drawn from a seed.

Several processes live in it. Every callback belongs to the process in whose context it was scheduled, so one process
can be paused (its callbacks wait, whatever happens) or killed (they are dropped, and no `finally` runs) while the
others go on. Callbacks without a process are the environment's: the network, the log, the nemesis.
"""

import asyncio
import contextvars
import heapq
import random
from asyncio.events import Handle, TimerHandle
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from typing import Any

STEP_SECONDS = 0.000_02
"""What one callback takes."""

BURIAL_STEPS = 200_000


class StepsExhausted(Exception):
    """The simulation did not come to rest within its number of steps: something spins."""


class Process:
    """One simulated process. `wall_offset_ms`: how far its wall clock is off; `boot_ms`: where the other began."""

    def __init__(self, name: str, boot_ms: int = 0) -> None:
        self.name = name
        self.ready: deque[Handle] = deque()
        self.tasks: list[SimTask] = []
        self.paused = False
        self.dead = False
        self.boot_ms = boot_ms
        self.wall_offset_ms = 0

    def __repr__(self) -> str:
        return self.name


PROCESS: contextvars.ContextVar[Process | None] = contextvars.ContextVar("simulated_process", default=None)


class SimTask(asyncio.Task[Any]):
    """A task whose place in a set does not depend on its address in memory."""

    def __init__(self, coro: Any, *, loop: "SimLoop", **fields: Any) -> None:
        self.serial = loop.next_serial()
        super().__init__(coro, loop=loop, **fields)

    def __hash__(self) -> int:
        return self.serial


class SimLoop(asyncio.BaseEventLoop):
    """Run with `run_until_complete`. `shuffled`: also the callbacks of one process run in any order, not as they came.

    `on_failure(process, task)` is told of every task that ends with an exception, `on_error(exception)` of every
    callback that does. `max_steps` bounds the whole run.
    """

    _scheduled: list[TimerHandle]
    _stopping: bool

    def __init__(self, source: random.Random, *, shuffled: bool, max_steps: int) -> None:
        super().__init__()
        self._random = source
        self._shuffled = shuffled
        self._steps_left = max_steps
        self._now = 0.0
        self._serial = 0
        self._environment = Process("environment")
        self._nobody = contextvars.Context()
        self._busy: list[Process] = []
        self._processes: list[Process] = [self._environment]
        self.steps = 0
        self.on_failure: Callable[[Process, SimTask], None] | None = None
        self.on_error: Callable[[BaseException], None] | None = None
        self.set_task_factory(_make_task)
        self.set_exception_handler(_told_otherwise)

    # --- processes ----------------------------------------------------------------------------------------------------

    def spawn(self, process: Process, work: Coroutine[Any, Any, Any]) -> "SimTask":
        """Start `work` as a task of `process`."""
        if process not in self._processes:
            self._processes.append(process)
        context = contextvars.copy_context()
        context.run(PROCESS.set, process)
        task = self.create_task(work, context=context)
        assert isinstance(task, SimTask)
        return task

    def kill(self, process: Process) -> None:
        """Nothing of it ever runs again, `finally` blocks included."""
        process.dead = True
        if process in self._busy:
            self._busy.remove(process)

    def pause(self, process: Process) -> None:
        process.paused = True
        if process in self._busy:
            self._busy.remove(process)

    def resume(self, process: Process) -> None:
        process.paused = False
        if process.ready and process not in self._busy and not process.dead:
            self._busy.append(process)

    def call_outside(self, delay: float, callback: Callable[..., object], *args: Any) -> TimerHandle:
        """Call back in `delay` seconds as the environment: also if the calling process is dead or paused by then."""
        return self.call_at(self._now + delay, callback, *args, context=self._nobody.copy())

    def bury(self) -> None:
        """At the end: let the tasks of dead and stopped processes unwind, so that none is left to the collector."""
        self.on_failure = self.on_error = None
        self._shuffled = False
        self._steps_left = self.steps + BURIAL_STEPS
        for process in self._processes:
            process.dead = False
            self.resume(process)
        for _ in range(20):
            left = [task for process in self._processes for task in process.tasks if not task.done()]
            if not left:
                return
            for task in left:
                task.cancel()
            self.run_until_complete(_turns(200))
        raise AssertionError(f"tasks that cannot be cancelled: {left}")

    # --- what asyncio asks for ----------------------------------------------------------------------------------------

    def time(self) -> float:
        return self._now

    def next_serial(self) -> int:
        self._serial += 1
        return self._serial

    def _call_soon(self, callback: Any, args: Any, context: Any) -> Handle:
        handle = Handle(callback, args, self, context)
        self._enqueue(handle)
        return handle

    def _enqueue(self, handle: Any) -> None:
        process = handle._context.get(PROCESS) or self._environment
        if not process.ready and not process.paused and not process.dead:
            self._busy.append(process)
        process.ready.append(handle)

    def _run_once(self) -> None:
        if not self._busy:
            self._advance()
        self._take_due()
        if not self._busy:
            return
        self.steps += 1
        if self.steps > self._steps_left:
            raise StepsExhausted(f"no rest after {self.steps} steps, at {self._now:.1f} s")
        busy = self._busy
        place = int(self._random.random() * len(busy))
        process = busy[place]
        ready = process.ready
        if self._shuffled and len(ready) > 1:
            ready.rotate(-int(self._random.random() * len(ready)))
        handle = ready.popleft()
        if not ready:
            busy[place] = busy[-1]
            busy.pop()
        self._now += STEP_SECONDS
        if not handle._cancelled:
            handle._run()

    def _advance(self) -> None:
        """Nothing is ready: time goes on to the next timer."""
        scheduled: list[Any] = self._scheduled
        while scheduled and scheduled[0]._cancelled:
            heapq.heappop(scheduled)._scheduled = False
        if scheduled:
            self._now = max(self._now, scheduled[0].when())
        elif not self._stopping:
            raise StepsExhausted("everything waits for something that cannot come")

    def _take_due(self) -> None:
        scheduled: list[Any] = self._scheduled
        while scheduled and scheduled[0].when() <= self._now:
            handle = heapq.heappop(scheduled)
            handle._scheduled = False
            if not handle._cancelled:
                self._enqueue(handle)

    def _process_events(self, event_list: Any) -> None:
        """There are none: no file is ever read or written here."""

    def _write_to_self(self) -> None:
        """Nobody calls from another thread."""


def _make_task(loop: Any, coro: Any, **fields: Any) -> Any:
    context = fields.get("context")
    process = context.get(PROCESS) if context is not None else PROCESS.get()
    task = SimTask(coro, loop=loop, **fields)
    process = process or loop._environment
    if len(process.tasks) > 200:
        process.tasks[:] = [each for each in process.tasks if not each.done()]
    process.tasks.append(task)
    if loop.on_failure is not None:
        task.add_done_callback(lambda done: _tell(loop, process, done))
    return task


def _tell(loop: SimLoop, process: Process, task: Any) -> None:
    if loop.on_failure is not None and not task.cancelled() and task.exception() is not None:
        loop.on_failure(process, task)


def _told_otherwise(loop: Any, context: dict[str, Any]) -> None:
    """Failures of tasks are told to `on_failure` at once, not when the collector finds them; here: of callbacks."""
    if "handle" in context and loop.on_error is not None:
        loop.on_error(context["exception"])


async def _turns(count: int) -> None:
    for _ in range(count):
        await _turn()


class _Turn:
    def __await__(self) -> Generator[None, None, None]:
        yield


def _turn() -> _Turn:
    return _Turn()
