"""Where Kafka and its schema registry are, and how to be let in: from the environment alone."""

from __future__ import annotations

import logging
import os
import ssl
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from calwatch.errors import StopError
from calwatch.redaction import keep_environment, keep_secret, keep_url

_PREFIX = "KAFKA_"
REGISTRY_VARIABLE = "SCHEMA_MANAGER_REGISTRY_URL"


class KafkaConnection(BaseSettings):
    """How to reach the brokers.

    The names of the variables are those of safir's ``KafkaConnectionSettings``, so that a
    deployment writes them once for all its services. A variable that is empty counts as not set.
    """

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX,
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
        validate_by_alias=True,
        validate_by_name=True,
    )

    bootstrap_servers: str
    """``host:port``, several separated by commas."""
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    """Only used with SASL."""
    sasl_username: str | None = None
    sasl_password: SecretStr | None = None
    sasl_password_file: Path | None = None
    """A file that holds the password, instead of the password."""
    cluster_ca_path: Path | None = None
    """Certificates (PEM) that may have signed the brokers'; the system's if not set."""
    client_cert_path: Path | None = None
    client_key_path: Path | None = None
    registry_url: str | None = Field(default=None, validation_alias=REGISTRY_VARIABLE, repr=False)
    """Schema registry, such as ``http://sasquatch-schema-registry.sasquatch:8081``."""

    @field_validator("bootstrap_servers")
    @classmethod
    def _are_servers(cls, value: str) -> str:
        servers = [server.strip() for server in value.split(",")]
        for server in servers:
            host, _, port = server.rpartition(":")
            if not host or not port.isdecimal() or not 0 < int(port) < 65536:
                raise ValueError(f"{server!r} is not host:port")
        return ",".join(servers)

    @field_validator("registry_url")
    @classmethod
    def _is_url(cls, value: str | None) -> str | None:
        if value is not None:
            check_url(value)
            keep_url(value)
        return value

    @field_validator("sasl_password_file", "cluster_ca_path", "client_cert_path", "client_key_path")
    @classmethod
    def _can_be_read(cls, value: Path | None) -> Path | None:
        if value is not None:
            try:
                value.read_bytes()
            except OSError as error:
                raise ValueError(f"{value}: {error.strerror}") from error
        return value

    @model_validator(mode="after")
    def _agree(self) -> KafkaConnection:
        """Check what the chosen protocol needs."""
        problems = []
        if self.security_protocol.startswith("SASL"):
            if not self.sasl_username:
                problems.append("KAFKA_SASL_USERNAME: is not set, and SASL needs it")
            given = [v for v in (self.sasl_password, self.sasl_password_file) if v is not None]
            if len(given) != 1:
                problems.append(
                    "KAFKA_SASL_PASSWORD, KAFKA_SASL_PASSWORD_FILE: SASL needs exactly one of "
                    f"them, {len(given)} are set"
                )
        if (self.client_cert_path is None) != (self.client_key_path is None):
            problems.append("KAFKA_CLIENT_CERT_PATH, KAFKA_CLIENT_KEY_PATH: one without the other")
        if problems:
            raise ValueError("\n".join(problems))
        return self

    def client_options(self) -> dict[str, Any]:
        """Return what aiokafka's clients need to connect. It holds the password: never log it.

        Raises
        ------
        StopError
            If a certificate or key cannot be used.
        """
        options: dict[str, Any] = {
            "bootstrap_servers": self.bootstrap_servers.split(","),
            "security_protocol": self.security_protocol,
        }
        if self.security_protocol.endswith("SSL"):
            options["ssl_context"] = self._ssl_context()
        if self.security_protocol.startswith("SASL"):
            options["sasl_mechanism"] = self.sasl_mechanism
            options["sasl_plain_username"] = self.sasl_username
            options["sasl_plain_password"] = self._password()
        return options

    def _password(self) -> str:
        found = self._find_password()
        keep_secret(found)
        return found

    def _find_password(self) -> str:
        if self.sasl_password is not None:
            return self.sasl_password.get_secret_value()
        if self.sasl_password_file is None:
            raise StopError("KAFKA_SASL_PASSWORD: is not set")
        try:
            return self.sasl_password_file.read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise StopError(
                f"KAFKA_SASL_PASSWORD_FILE: {self.sasl_password_file} cannot be read "
                f"({type(error).__name__})"
            ) from None

    def _ssl_context(self) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(cafile=self.cluster_ca_path)
        except (OSError, ssl.SSLError) as error:
            raise StopError(
                f"KAFKA_CLUSTER_CA_PATH: {self.cluster_ca_path} holds no certificate that can "
                f"be used: {error}"
            ) from error
        # Certificates made by Strimzi lack an extension that Python 3.13 asks for by default.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        if self.client_cert_path is not None and self.client_key_path is not None:
            try:
                context.load_cert_chain(self.client_cert_path, self.client_key_path)
            except (OSError, ssl.SSLError) as error:
                raise StopError(
                    f"KAFKA_CLIENT_CERT_PATH, KAFKA_CLIENT_KEY_PATH: {self.client_cert_path} and "
                    f"{self.client_key_path} cannot be used: {error}"
                ) from error
        return context


def check_url(text: str) -> None:
    """Check the address of a schema registry.

    Raises
    ------
    ValueError
        If it is not an http or https URL with a host; the message does not repeat it, as it may
        hold a password.
    """
    try:
        parts = urlsplit(text)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise ValueError("is not a URL such as http://host:8081")


def load_connection() -> KafkaConnection | None:
    """Read the environment; None if ``KAFKA_BOOTSTRAP_SERVERS`` is not set: no Kafka is wanted.

    aiokafka, which logs every try of every client, is told to be quiet: while a broker is away that
    would be hundreds of lines a minute, and whoever uses a client tells of an outage once.

    Raises
    ------
    StopError
        Naming every variable that is wrong, at once, and never the value of a secret.
    """
    keep_environment()
    if not os.environ.get("KAFKA_BOOTSTRAP_SERVERS", "").strip():
        return None
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    try:
        connection = KafkaConnection()
    except ValidationError as error:
        problems = [line for e in error.errors() for line in _lines(e["loc"], e["msg"])]
        noun = "problem" if len(problems) == 1 else "problems"
        listed = "\n".join(f"  {line}" for line in problems)
        raise StopError(f"environment: {len(problems)} {noun} with Kafka\n{listed}") from None
    connection.client_options()  # A bad certificate is told now, not when a broker is first called.
    return connection


def _lines(location: tuple[int | str, ...], message: str) -> list[str]:
    """Return what is wrong with one variable, or with several that do not go together."""
    text = message.removeprefix("Value error, ")
    if not location:
        return text.splitlines()
    name = str(location[0])
    variable = name if name == REGISTRY_VARIABLE else f"{_PREFIX}{name}".upper()
    return [f"{variable}: {text}"]
