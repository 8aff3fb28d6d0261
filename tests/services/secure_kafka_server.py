"""The same Kafka behind TLS and SCRAM-SHA-512, as it is reached from outside of its cluster."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import install
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID
from kafka_server import KafkaServer
from running import free_port, running

MECHANISM = "SCRAM-SHA-512"
AUTHORIZER = "org.apache.kafka.metadata.authorizer.StandardAuthorizer"
DAY = timedelta(days=1)


class Authority:
    """Signs certificates of brokers.

    Parameters
    ----------
    name
        Its common name.
    """

    def __init__(self, name: str) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = self._builder(self._name, self._key, -DAY, DAY)
        constraints = x509.BasicConstraints(ca=True, path_length=0)
        made = builder.add_extension(constraints, critical=True).sign(self._key, SHA256())
        self.pem = made.public_bytes(Encoding.PEM).decode()
        """Its own certificate."""

    def store(self, names: Sequence[str], begins: timedelta = -DAY, ends: timedelta = DAY) -> str:
        """Return the key and the certificate (PEM) of a broker, valid from and to now plus these.

        Parameters
        ----------
        names
            Host names and addresses.
        begins, ends
            Ahead of now.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        known = x509.SubjectAlternativeName([_general_name(name) for name in names])
        builder = self._builder(subject, key, begins, ends).add_extension(known, critical=False)
        made = builder.sign(self._key, SHA256()).public_bytes(Encoding.PEM).decode()
        secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        return secret + made + self.pem

    def _builder(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        begins: timedelta,
        ends: timedelta,
    ) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return x509.CertificateBuilder(
            issuer_name=self._name,
            subject_name=subject,
            public_key=key.public_key(),
            serial_number=x509.random_serial_number(),
            not_valid_before=now + begins,
            not_valid_after=now + ends,
        )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


class SecureKafkaServer(KafkaServer):
    """A Kafka with two users; neither a word in clear nor a client without the password passes.

    One user may do everything, the other nothing that no rule allows. Besides the good listener
    there are two whose certificates are not: one has expired, one is for another host.
    """

    def __init__(self, jars: Path, folder: Path) -> None:
        self.username, self.powerless = "calwatch", "visitor"
        self.password = secrets.token_urlsafe(16)
        self.expired, self.elsewhere, self.clear = (f"127.0.0.1:{free_port()}" for _ in range(3))
        self._stores = _certificates(folder)
        self.ca_path, self.other_ca_path = folder / "ca.pem", folder / "other_ca.pem"
        super().__init__(jars, folder)
        self.options |= {
            "security.protocol": "SASL_SSL",
            "sasl.mechanism": MECHANISM,
            "sasl.username": self.username,
            "sasl.password": self.password,
            "ssl.ca.location": str(self.ca_path),
        }

    def _settings(self, port: int, controller: int) -> dict[str, object]:
        module = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        places = {
            "OUTSIDE": self.bootstrap,
            "EXPIRED": self.expired,
            "ELSEWHERE": self.elsewhere,
        }
        listeners = [f"{name}://{place}" for name, place in places.items()]
        listeners.append(f"INSIDE://{self.clear}")
        settings: dict[str, object] = {
            **super()._settings(port, controller),
            "listeners": ",".join([*listeners, f"CONTROLLER://127.0.0.1:{controller}"]),
            "advertised.listeners": ",".join(listeners),
            "listener.security.protocol.map": ",".join(
                [*(f"{name}:SASL_SSL" for name in places), "INSIDE:PLAINTEXT,CONTROLLER:PLAINTEXT"]
            ),
            "inter.broker.listener.name": "INSIDE",
            "sasl.enabled.mechanisms": MECHANISM,
            "authorizer.class.name": AUTHORIZER,
            "super.users": f"User:{self.username};User:ANONYMOUS",  # the latter is the broker
        }
        for name in places:
            ours = f"listener.name.{name.lower()}"
            settings[f"{ours}.{MECHANISM.lower()}.sasl.jaas.config"] = module
            settings[f"{ours}.ssl.keystore.type"] = "PEM"
            settings[f"{ours}.ssl.keystore.location"] = self._stores[name]
        return settings

    def _format(self, settings: dict[str, object], *words: str) -> None:
        for name in (self.username, self.powerless):
            words += ("--add-scram", f"{MECHANISM}=[name={name},password={self.password}]")
        super()._format(settings, *words)

    def new_user(self) -> str:
        """Make a user with a name of its own and the common password, who may do nothing yet."""
        name = f"user-{uuid.uuid4().hex[:8]}"
        self.set_password(name, self.password)
        return name

    @contextmanager
    def topic_of_its_own(self) -> Iterator[str]:
        """Make a topic that is deleted in the end."""
        name = f"other-{uuid.uuid4().hex[:8]}"
        self.create_topics(name)
        try:
            yield name
        finally:
            admin = self.admin()
            self._done(admin.delete_topics([name]))

    def set_password(self, name: str, password: str) -> None:
        """Give a user, new or known, a password."""
        info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)
        made = UserScramCredentialUpsertion(name, info, password.encode())
        admin = self.admin()
        self._done(admin.alter_user_scram_credentials([made]))

    def allow(self, user: str, kind: str, name: str, *operations: str) -> None:
        """Let a user do something.

        Parameters
        ----------
        user
            Name of the user.
        kind, name
            ``topic`` or ``group``, and which.
        *operations
            Such as ``read``.
        """
        admin = self.admin()
        rules = [
            AclBinding(
                ResourceType[kind.upper()], name, ResourcePatternType.LITERAL, f"User:{user}", "*",
                AclOperation[operation.upper()], AclPermissionType.ALLOW,
            )
            for operation in operations
        ]  # fmt: skip
        self._done(admin.create_acls(rules))

    @staticmethod
    def _done(futures: dict[object, object]) -> None:
        for future in futures.values():
            future.result(30)


def _certificates(folder: Path) -> dict[str, Path]:
    """Make two authorities and, signed by the first, what each listener shows; return the stores.

    The other authority has signed nothing here.
    """
    authority = Authority("authority of the tests")
    (folder / "ca.pem").write_text(authority.pem)
    (folder / "other_ca.pem").write_text(Authority("another authority").pem)
    here = ("localhost", "127.0.0.1")
    shown = {
        "OUTSIDE": authority.store(here),
        "EXPIRED": authority.store(here, -3 * DAY, -DAY),
        "ELSEWHERE": authority.store(("kafka.elsewhere.test",)),
    }
    stores = {name: folder / f"{name.lower()}.pem" for name in shown}
    for name, text in shown.items():
        stores[name].write_text(text)
    return stores


def server() -> AbstractContextManager[SecureKafkaServer]:
    """Run a server in a folder of its own."""
    jars = install.java("kafka")
    return running("secure-kafka", lambda folder: SecureKafkaServer(jars, folder))
