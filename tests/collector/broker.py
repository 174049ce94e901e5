"""A real single-node Kafka broker (KRaft, no ZooKeeper) for the tests of the tiers."""

import os
import signal
import socket
import subprocess
import uuid
from base64 import urlsafe_b64encode
from pathlib import Path

from tests.collector.running import ROOT, free_ports, wait_for
from tests.support.needs import missing

JARS = Path(os.environ.get("TEST_KAFKA") or ROOT / "build/kafka")


class Broker:
    """Listens on 127.0.0.1; makes topics, of four partitions, when they are first written."""

    def __init__(self, data: Path) -> None:
        if not (JARS / ".done").exists():
            missing(str(JARS), "run `scripts/kafka`, which needs Java 17 and Maven")
        broker, controller = free_ports(2)
        self.address = f"127.0.0.1:{broker}"
        self.data = data
        self.log = data / "broker.log"
        self.port = broker
        self.process: subprocess.Popen[bytes] | None = None
        data.mkdir(parents=True, exist_ok=True)
        self.properties = data / "server.properties"
        self.properties.write_text(f"""
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{broker},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{broker}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs={data / "logs"}
num.partitions=4
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
message.max.bytes=16000000
""")
        cluster = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        self._java("kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(self.properties))

    def _java(self, *arguments: str) -> None:
        subprocess.run([*self._command(), *arguments], check=True, capture_output=True, timeout=60)

    def _command(self) -> list[str]:
        options = ["-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
        return ["java", *options, "-cp", f"{JARS}/*"]

    def start(self) -> None:
        """Run until it takes connections."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*self._command(), "kafka.Kafka", str(self.properties)], stdout=log, stderr=log
            )
        wait_for(self._listens, f"the broker, see {self.log}", 60)

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End it."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(how)
            self.process.wait(60)
