"""The same Kafka behind TLS and SCRAM-SHA-512, as it is reached from outside of its cluster."""

from __future__ import annotations

import secrets
import subprocess
from contextlib import AbstractContextManager
from pathlib import Path

import install
from kafka_server import KafkaServer
from running import free_port, running

MECHANISM = "SCRAM-SHA-512"
AUTHORIZER = "org.apache.kafka.metadata.authorizer.StandardAuthorizer"


def certificates(folder: Path) -> tuple[Path, Path]:
    """Make an authority and a certificate signed by it; return its file and the store."""
    common = ["openssl", "req", "-x509", "-nodes", "-days", "2", "-newkey", "ec"]
    common += ["-pkeyopt", "ec_paramgen_curve:P-256"]
    authority, authority_key = folder / "ca.pem", folder / "ca.key"
    words = ["-subj", "/CN=authority of the tests", "-keyout", authority_key, "-out", authority]
    _call([*common, *words, "-addext", "keyUsage=critical,keyCertSign"])
    certificate, key = folder / "server.pem", folder / "server.key"
    words = ["-CA", authority, "-CAkey", authority_key, "-keyout", key, "-out", certificate]
    names = ["-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"]
    _call(
        [*common, *words, *names, "-subj", "/CN=localhost", "-addext", "basicConstraints=CA:FALSE"]
    )
    store = folder / "store.pem"
    store.write_text("".join(path.read_text() for path in (key, certificate, authority)))
    return authority, store


def _call(command: list[object]) -> None:
    words = [str(word) for word in command]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    if done.returncode:
        raise RuntimeError(f"{words} failed: {done.stderr}")


class SecureKafkaServer(KafkaServer):
    """A Kafka with two users; neither a word in clear nor a client without the password passes.

    One user may do everything, the other nothing that no rule allows.
    """

    def __init__(self, jars: Path, folder: Path) -> None:
        self.username, self.powerless = "calwatch", "visitor"
        self.password = secrets.token_urlsafe(16)
        self.ca_path, self._store = certificates(folder)
        super().__init__(jars, folder)
        self.options |= {
            "security.protocol": "SASL_SSL",
            "sasl.mechanism": MECHANISM,
            "sasl.username": self.username,
            "sasl.password": self.password,
            "ssl.ca.location": str(self.ca_path),
        }

    def _settings(self, port: int, controller: int) -> dict[str, object]:
        outside, inside = f"OUTSIDE://{self.bootstrap}", f"INSIDE://127.0.0.1:{free_port()}"
        module = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        return {
            **super()._settings(port, controller),
            "listeners": f"{outside},{inside},CONTROLLER://127.0.0.1:{controller}",
            "advertised.listeners": f"{outside},{inside}",
            "listener.security.protocol.map": (
                "OUTSIDE:SASL_SSL,INSIDE:PLAINTEXT,CONTROLLER:PLAINTEXT"
            ),
            "inter.broker.listener.name": "INSIDE",
            "sasl.enabled.mechanisms": MECHANISM,
            f"listener.name.outside.{MECHANISM.lower()}.sasl.jaas.config": module,
            "authorizer.class.name": AUTHORIZER,
            "super.users": f"User:{self.username};User:ANONYMOUS",  # the latter is the broker
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": self._store,
        }

    def _format(self, settings: dict[str, object], *words: str) -> None:
        for name in (self.username, self.powerless):
            words += ("--add-scram", f"{MECHANISM}=[name={name},password={self.password}]")
        super()._format(settings, *words)


def server() -> AbstractContextManager[SecureKafkaServer]:
    """Run a server in a folder of its own."""
    jars = install.java("kafka")
    return running("secure-kafka", lambda folder: SecureKafkaServer(jars, folder))
