"""A real Kafka broker for tests: one that is named, Redpanda where Docker runs, or Apache Kafka from its jars.

The jars (pom.xml beside this file, 43 MB) are fetched once by Maven into LINKFLOW_TEST_CACHE or ~/.cache/linkflow.
"""

import base64
import os
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from pathlib import Path
from typing import Protocol

from tests.support.postgres import cache_directory, free_port

POM = Path(__file__).with_name("kafka") / "pom.xml"
HEAP = ("-Xms128m", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto")
START_SECONDS = 60

SETTINGS = """
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs={data}
auto.create.topics.enable=false
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=500
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
num.network.threads=2
num.io.threads=2
"""


class KafkaMissing(Exception):
    """There is no way to a broker on this machine; says why."""


class Broker(Protocol):
    bootstrap: str

    def remove(self) -> None: ...


class NamedBroker:
    """Somebody else's broker, from LINKFLOW_TEST_KAFKA: left as it is."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap.removeprefix("kafka://")

    def remove(self) -> None:
        pass


class RedpandaBroker:
    """Redpanda in a container."""

    def __init__(self) -> None:
        from testcontainers.community.kafka import RedpandaContainer

        self._container = RedpandaContainer()
        self._container.start()
        self.bootstrap = str(self._container.get_bootstrap_server())

    def remove(self) -> None:
        self._container.stop()


class KafkaBroker:
    """One Apache Kafka node (KRaft) with its own data: start, stop, kill, start again with the same data and port."""

    def __init__(self) -> None:
        self._libs = _jars()
        self.home = Path(tempfile.mkdtemp(prefix="lf-kafka-"))
        self._config = self.home / "server.properties"
        self._process: subprocess.Popen[bytes] | None = None
        port = free_port()
        self.bootstrap = f"127.0.0.1:{port}"
        self._config.write_text(SETTINGS.format(port=port, controller=free_port(), data=self.home / "data"))
        # An id that begins with a dash would be taken for an option.
        cluster = "L" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")[1:]
        formatted = subprocess.run(
            self._java("kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(self._config)),
            capture_output=True,
            check=False,
        )
        if formatted.returncode != 0:
            raise RuntimeError(f"Kafka's storage could not be formatted:\n{formatted.stderr.decode()[-2000:]}")

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start and wait until it serves (about 3 s)."""
        log = self.home / "broker.log"
        with log.open("wb") as out:
            self._process = subprocess.Popen(
                self._java("kafka.Kafka", str(self._config)),
                stdout=out,
                stderr=out,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        while b"Kafka Server started" not in log.read_bytes():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the broker did not start:\n{log.read_text()[-3000:]}")
            time.sleep(0.05)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it as a crash would."""
        self._end(signal.SIGKILL)

    def stall(self) -> None:
        """Stop it; `go_on` ends that."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._signal(signal.SIGCONT)

    def remove(self) -> None:
        """Kill it and delete its data."""
        self.kill()
        shutil.rmtree(self.home, ignore_errors=True)

    def _java(self, *args: str) -> list[str]:
        return ["java", *HEAP, "-cp", f"{self._libs}/*", *args]

    def _signal(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(how)
            process.wait(timeout=30)


def own_broker() -> KafkaBroker:
    """A broker from the jars that the caller may kill, not started yet; raises KafkaMissing."""
    if missing := [tool for tool in ("java", "mvn") if shutil.which(tool) is None]:
        raise KafkaMissing(f"Kafka's jars need {' and '.join(missing)}")
    return KafkaBroker()


def open_broker() -> Broker:
    """A running broker, by the first way that this machine offers; raises KafkaMissing."""
    if named := os.environ.get("LINKFLOW_TEST_KAFKA"):
        return NamedBroker(named)
    if _docker_runs():
        return RedpandaBroker()
    broker = own_broker()
    try:
        broker.start()
    except BaseException:
        broker.remove()
        raise
    return broker


def kafka_required() -> bool:
    """Whether a missing broker is a failure (in CI), not a reason to skip."""
    return os.environ.get("LINKFLOW_TEST_REQUIRE_KAFKA", "") not in {"", "0"}


def _docker_runs() -> bool:
    if shutil.which("docker") is None:
        return False
    try:
        return subprocess.run(["docker", "info"], capture_output=True, check=False, timeout=5).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def _jars() -> Path:
    """The directory of the broker's jars; fetches them the first time."""
    libs = cache_directory() / "kafka-4.4.0" / "libs"
    if libs.is_dir():
        return libs
    libs.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix="libs-", dir=libs.parent))
    fetched = subprocess.run(
        ["mvn", "-q", "-B", "-f", str(POM), "dependency:copy-dependencies", f"-DoutputDirectory={part}"],
        capture_output=True,
        check=False,
    )
    if fetched.returncode != 0:
        shutil.rmtree(part, ignore_errors=True)
        raise KafkaMissing(f"Maven could not fetch Kafka's jars:\n{fetched.stdout.decode()[-2000:]}")
    try:
        part.rename(libs)
    except OSError:  # another session was faster
        shutil.rmtree(part, ignore_errors=True)
    return libs
