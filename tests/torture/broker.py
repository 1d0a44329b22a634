"""A Kafka broker with one listener for each client process, so that a proxy can stand before each.

A broker tells its clients under which address to come back. Only a listener of its own, advertised at its proxy's port,
keeps a client on its proxy.
"""

from collections.abc import Mapping

from tests.support.kafka import KafkaBroker
from tests.support.postgres import free_port


class ManyDoors(KafkaBroker):
    """`doors`: name of a client process → (port that the broker listens on, port that it advertises)."""

    def __init__(self, doors: Mapping[str, tuple[int, int]]) -> None:
        super().__init__()
        lines = self._config.read_text().splitlines()
        settings = dict(line.split("=", 1) for line in lines if "=" in line)
        names = {name: f"DOOR{number}" for number, name in enumerate(doors)}
        settings["listeners"] += "".join(f",{names[n]}://127.0.0.1:{port}" for n, (port, _) in doors.items())
        settings["advertised.listeners"] += "".join(f",{names[n]}://127.0.0.1:{to}" for n, (_, to) in doors.items())
        settings["listener.security.protocol.map"] += "".join(f",{each}:PLAINTEXT" for each in names.values())
        settings["inter.broker.listener.name"] = "PLAINTEXT"
        self._config.write_text("\n".join(f"{name}={value}" for name, value in settings.items()) + "\n")


def free_ports(count: int) -> list[int]:
    found: list[int] = []
    while len(found) < count:
        port = free_port()
        if port not in found:
            found.append(port)
    return found
