"""Who owns which partitions, by a Kafka consumer group: static members, range assignment, nothing read.

The library's group coordinator is used without its fetcher. What it cannot mend by itself makes a new one
join: FENCED_INSTANCE_ID is not known to it, and any unexpected answer ends its tasks.
"""

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable
from typing import Any

from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.client import AIOKafkaClient
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.consumer.subscription_state import SubscriptionState
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import InvalidSessionTimeoutError
from aiokafka.protocol.group import LeaveGroupRequest
from aiokafka.structs import TopicPartition

from infra.log.kafka_connection import RETRY_MS, UNAVAILABLE, TopicNames, bounded, open_client
from infra.log.port import Topic

logger = logging.getLogger(__name__)

SESSION_MS = 6_000
LONG_SESSION_MS = 10_000
"""For brokers that refuse the shorter one."""
HEARTBEAT_MS = 500
"""A planned change is heard of with a heartbeat: partitions stand still for so long."""
NEVER_MS = 2**31 - 1


class _Coordinator(GroupCoordinator):  # type: ignore[misc]
    """The library's coordinator, but an error that it would keep for its consumer is told at once."""

    failed: Callable[[BaseException], None]

    def _push_error_to_user(self, exc: BaseException) -> Any:
        self.failed(exc)
        return super()._push_error_to_user(exc)


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    def __init__(self, assigned: Callable[[frozenset[int]], None]) -> None:
        self._assigned = assigned

    def on_partitions_revoked(self, revoked: object) -> None:
        """Every rebalance revokes everything for a moment; what changes in the end is told by `assigned`."""

    def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        self._assigned(frozenset(place.partition for place in assigned))


class KafkaMembership:
    """A Membership with a client of its own."""

    def __init__(self, brokers: str, names: TopicNames, group: str, member: str) -> None:
        self._brokers = brokers
        self._names = names
        self._group = group
        self._member = member
        self._session_ms = SESSION_MS
        self._client: AIOKafkaClient | None = None
        self._coordinator: _Coordinator | None = None
        self._failure: asyncio.Future[BaseException] | None = None
        self._current: frozenset[int] | None = None
        self._told: frozenset[int] | None = None
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Begin to join; raises LogUnavailable if there is no broker."""
        self._client = await open_client(self._brokers, self._names, client_id=f"linkflow-{self._member}")
        self._task = asyncio.create_task(self._keep(), name="log membership")

    def current(self) -> frozenset[int]:
        return self._current or frozenset()

    async def assigned(self) -> frozenset[int]:
        while self._current is None or self._told == self._current:
            self._changed.clear()
            await self._changed.wait()
        self._told = self._current
        return self._told

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        await self._end_coordinator(leave=True)
        if self._client is not None:
            await bounded(self._client.close())
            self._client = None
        self._set(frozenset())

    async def _keep(self) -> None:
        """Have a coordinator in the group; where it fails, a new one takes its place after a pause."""
        while True:
            self._begin_coordinator()
            assert self._failure is not None
            error = await self._failure
            logger.warning("member %s has to join group %s again: %r", self._member, self._group, error)
            if isinstance(error, InvalidSessionTimeoutError):
                self._session_ms = LONG_SESSION_MS
            await self._end_coordinator(leave=False)
            await asyncio.sleep(random.uniform(0.2, 1.0))  # noqa: S311

    def _begin_coordinator(self) -> None:
        failure: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()
        subscription = SubscriptionState()
        subscription.subscribe({self._names[Topic.EXECUTION_COMMANDS]}, listener=_Listener(self._set))
        # A member that polls nothing would leave after the poll interval: this one never counts as idle.
        subscription._fetch_count = 1
        coordinator = _Coordinator(
            self._client,
            subscription,
            group_id=f"{self._names.prefix}{self._group}.members",
            group_instance_id=self._member,
            session_timeout_ms=self._session_ms,
            heartbeat_interval_ms=HEARTBEAT_MS,
            rebalance_timeout_ms=self._session_ms,
            max_poll_interval_ms=NEVER_MS,
            retry_backoff_ms=RETRY_MS,
            enable_auto_commit=False,
            assignors=(RangePartitionAssignor,),
        )

        def failed(error: BaseException) -> None:
            if not failure.done():
                failure.set_result(error)

        def ended(task: asyncio.Task[None]) -> None:
            if not task.cancelled():
                failed(task.exception() or RuntimeError("the coordination ended"))

        coordinator.failed = failed
        coordinator._coordination_task.add_done_callback(ended)
        self._coordinator, self._failure = coordinator, failure

    async def _end_coordinator(self, *, leave: bool) -> None:
        coordinator, self._coordinator = self._coordinator, None
        if coordinator is None:
            return
        if leave and coordinator.generation > 0:
            # The library never lets a static member leave; then its partitions would wait for the session's end.
            request = LeaveGroupRequest(coordinator.group_id, coordinator.member_id)
            await bounded(coordinator._send_req(request))
        await bounded(coordinator.close())
        tasks = [coordinator._coordination_task, coordinator._heartbeat_task, coordinator._commit_refresh_task]
        for task in tasks:
            if task is not None and not task.done():
                task.cancel()
        with contextlib.suppress(*UNAVAILABLE):
            await asyncio.gather(*(task for task in tasks if task is not None), return_exceptions=True)

    def _set(self, current: frozenset[int]) -> None:
        self._current = current
        self._changed.set()
