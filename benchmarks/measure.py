"""What a run cost: memory (PSS) and CPU time of the processes, by role."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

MIB = 1024 * 1024
Roles = Mapping[str, Sequence[psutil.Process]]
OUTSIDE = ("db", "broker")
"""Roles that are not LinkFlow's own processes."""


def memory_of(process: psutil.Process) -> int:
    """Proportional set size in bytes (shared pages divided by their users); RSS where the system does not tell."""
    try:
        for line in Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except (FileNotFoundError, PermissionError, ProcessLookupError):
        pass
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


def memory(roles: Roles) -> dict[str, int]:
    """Role → bytes."""
    return {role: sum(memory_of(each) for each in processes) for role, processes in roles.items()}


def cpu(roles: Roles) -> dict[str, float]:
    """Role → seconds of CPU so far, ended children included."""
    return {role: sum(_cpu_of(each) for each in processes) for role, processes in roles.items()}


def _cpu_of(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    own: float = times.user + times.system
    # PostgreSQL's backends come and go; other children are looked at themselves and live through a run.
    return own + (times.children_user + times.children_system if process.name().startswith("postgres") else 0.0)


def own(by_role: Mapping[str, float]) -> float:
    """The sum over LinkFlow's own roles."""
    return sum(value for role, value in by_role.items() if role not in OUTSIDE)


@dataclass(slots=True)
class Meter:
    """CPU seconds by role since it was started."""

    before: dict[str, float]
    began: float

    @staticmethod
    def start(roles: Roles) -> "Meter":
        return Meter(cpu(roles), time.monotonic())

    def read(self, roles: Roles) -> dict[str, float]:
        return {role: max(0.0, now - self.before.get(role, 0.0)) for role, now in cpu(roles).items()}
