"""Why brokers do not let us in or refuse what we ask: the thing, the cause, and what to do.

aiokafka only says that it could not connect; why, it tells its log. So where a connection fails we
knock once ourselves and keep the error.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from aiokafka.conn import create_conn
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    KafkaConnectionError,
    KafkaError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    UnsupportedSaslMechanismError,
)
from aiokafka.protocol.metadata import MetadataRequest

_KNOCK_SECONDS = 5.0
"""A broker may take so long to answer when we ask why."""
_EXPIRED, _NOT_YET_VALID = 10, 9
_UNKNOWN_AUTHORITY = frozenset({2, 18, 19, 20, 21})
_OTHER_HOST = frozenset({62, 64})
"""Codes of OpenSSL's X509_verify_cert_error_string."""


@dataclass(frozen=True, slots=True)
class Cause:
    """Why something with Kafka failed."""

    words: str
    """What is wrong and what to do about it."""
    refused: bool
    """The brokers do not let us, or we do not trust them: waiting alone is no help."""


async def cause_of(options: Mapping[str, Any], error: BaseException) -> str:
    """Return why a client failed, in words; see `find_cause`."""
    return (await find_cause(options, error)).words


async def find_cause(options: Mapping[str, Any], error: BaseException) -> Cause:
    """Return why a client failed.

    Parameters
    ----------
    options
        With which the client was made, as `KafkaConnection.client_options` gives them.
    error
        What the client raised. If it says no more than that there is no connection, the brokers are
        asked once more.
    """
    if not _is_refusal(error):
        error = await _knock(options) or error
    return known_cause(error, str(options.get("sasl_plain_username") or ""))


def known_cause(error: BaseException, user: str = "") -> Cause:
    """Return as much of the cause as the error itself tells.

    Parameters
    ----------
    error
        Of aiokafka, TLS or the network, or one that came of such an error.
    user
        Who was refused.
    """
    return Cause(in_words(error, user), _is_refusal(error))


def in_words(error: BaseException, user: str = "") -> str:
    """Return what an error of aiokafka, TLS or the network means, and what to do about it.

    Parameters
    ----------
    error
        Or one that was caused by such an error.
    user
        Who was refused.
    """
    telling = next((one for one in _chain(error) if _is_telling(one)), error)
    who = f"user {user!r}" if user else "this client"
    match telling:
        case ssl.SSLCertVerificationError():
            return f"TLS: {_certificate(telling)}"
        case ssl.SSLError():
            what = getattr(telling, "reason", None) or telling
            return f"TLS: {what}: does the broker speak TLS on this port?"
        case SaslAuthenticationFailed():
            return (
                f"{who} is not let in: name or password is wrong "
                "(KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD or KAFKA_SASL_PASSWORD_FILE)"
            )
        case UnsupportedSaslMechanismError():
            return "the broker does not know this way to log in (KAFKA_SASL_MECHANISM)"
        case GroupAuthorizationFailedError():
            group = _named(telling, "the consumer group")
            return f"{who} may not read as {group}: an ACL has to allow Read on the group"
        case TopicAuthorizationFailedError():
            topic = _named(telling, "a topic")
            return (
                f"{who} may not use {topic}: an ACL has to allow Describe and Read (what is read) "
                "or Write (what is published) on the topic"
            )
        case ClusterAuthorizationFailedError():
            return (
                f"{who} may not publish: an ACL has to allow Write on the topics published to, or "
                "IdempotentWrite on the cluster"
            )
        case _:
            return _network(telling)


def _network(error: BaseException) -> str:
    match error:
        case TimeoutError():
            return "no answer in time"
        case asyncio.CancelledError():
            return "given up before the brokers acknowledged it"
        case socket.gaierror():
            return f"the host's name is not known ({error.strerror})"
        case ConnectionRefusedError():
            return "nobody listens there"
        case ConnectionResetError() | ConnectionAbortedError():
            return "the broker breaks the connection off: does it speak TLS on this port?"
        case KafkaConnectionError() if "closed" in str(error):
            return (
                "the broker breaks the connection off: does it want TLS or a password "
                "(KAFKA_SECURITY_PROTOCOL)?"
            )
        case _:
            return str(error) or type(error).__name__


def _certificate(error: ssl.SSLCertVerificationError) -> str:
    code = error.verify_code
    if code == _EXPIRED:
        return "the broker's certificate has expired: have it renewed (or is our clock wrong?)"
    if code == _NOT_YET_VALID:
        return "the broker's certificate is not valid yet: is our clock wrong?"
    if code in _UNKNOWN_AUTHORITY:
        return (
            "the broker's certificate is signed by an authority that is not trusted: give the "
            "cluster's CA certificate (KAFKA_CLUSTER_CA_PATH)"
        )
    if code in _OTHER_HOST:
        return (
            f"the broker's certificate is for another host ({error.verify_message.rstrip('.')}): "
            "name the broker as the certificate does (KAFKA_BOOTSTRAP_SERVERS)"
        )
    return f"the broker's certificate is refused: {error.verify_message}"


def _named(error: KafkaError, otherwise: str) -> str:
    """Return the topics or the group that an error names."""
    names: set[str] = set()
    for given in error.args:
        names |= {given} if isinstance(given, str) else set(map(str, given))
    return " and ".join(repr(name) for name in sorted(names)) or otherwise


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and those that it came from."""
    seen: set[int] = set()
    one: BaseException | None = error
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        yield one
        one = one.__cause__ or one.__context__


def _is_refusal(error: BaseException) -> bool:
    return any(_is_telling(one) for one in _chain(error))


def _is_telling(error: BaseException) -> bool:
    """Tell whether an error says more than that there is no connection."""
    kinds = (
        ssl.SSLError,
        SaslAuthenticationFailed,
        UnsupportedSaslMechanismError,
        GroupAuthorizationFailedError,
        TopicAuthorizationFailedError,
        ClusterAuthorizationFailedError,
    )
    return isinstance(error, kinds)


async def _knock(options: Mapping[str, Any]) -> BaseException | None:
    """Connect to each broker once; return why one does not let us in, None if one does."""
    wishes = {name: value for name, value in options.items() if name != "bootstrap_servers"}
    plain: BaseException | None = None
    for server in options["bootstrap_servers"]:
        host, _, port = server.rpartition(":")
        try:
            async with asyncio.timeout(_KNOCK_SECONDS):
                await _enter(host.strip("[]"), int(port), wishes)
        except (KafkaError, OSError, TimeoutError) as error:
            if _is_telling(error):
                return error
            plain = plain or error
        else:
            return None
    return plain


async def _enter(host: str, port: int, wishes: Mapping[str, Any]) -> None:
    connection = await create_conn(host, port, client_id="calwatch-knock", **wishes)
    try:
        await connection.send(MetadataRequest([]))
    finally:
        connection.close()
