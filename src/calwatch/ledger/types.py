"""Column types that mean the same in SQLite and in PostgreSQL."""

from __future__ import annotations

import io
import zlib
from datetime import UTC, datetime
from typing import Any

import numpy as np
import orjson
from sqlalchemy import BigInteger, DateTime, Dialect, Integer, LargeBinary
from sqlalchemy.types import TypeDecorator

BigId = BigInteger().with_variant(Integer, "sqlite")
"""A 64-bit key that numbers itself (SQLite does so only for INTEGER)."""
LARGEST_ID = 2**63 - 1
"""No key or number of the ledger is larger; a database cannot even be asked for one."""


def dump_json(value: Any) -> str:
    """Write JSON without spaces and floats exactly; what is not finite becomes null.

    Raises
    ------
    TypeError
        If something is no plain data.
    """
    return _json(value).decode()


def _json(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS)


class UtcDateTime(TypeDecorator[datetime]):
    """An aware time, kept and given back in UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Bring an aware time to UTC; SQLite keeps it without the offset."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"time {value.isoformat()} has no time zone")
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(
        self,
        value: datetime | None,
        dialect: Dialect,  # noqa: ARG002 (the base class's signature)
    ) -> datetime | None:
        """Give back an aware time in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class CompressedJson(TypeDecorator[Any]):
    """A JSON document kept deflated: a full result shrinks about tenfold."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(
        self,
        value: Any,
        dialect: Dialect,  # noqa: ARG002
    ) -> bytes | None:
        """Write and deflate."""
        return None if value is None else zlib.compress(_json(value), 1)

    def process_result_value(
        self,
        value: bytes | None,
        dialect: Dialect,  # noqa: ARG002
    ) -> Any:
        """Inflate and read."""
        return None if value is None else orjson.loads(zlib.decompress(value))


class SingleArray(TypeDecorator[Any]):
    """An array in single precision, as a file of numpy's ``.npy`` format; NaN stands for None.

    As JSON the projections of one detector take ten times the time of all else that is kept of it,
    and deflating noise gains little.
    """

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(
        self,
        value: Any,
        dialect: Dialect,  # noqa: ARG002
    ) -> bytes | None:
        """Write an array or nested lists."""
        if value is None:
            return None
        file = io.BytesIO()
        np.save(file, np.asarray(value, dtype=np.float64).astype("<f4"), allow_pickle=False)
        return file.getvalue()

    def process_result_value(
        self,
        value: bytes | None,
        dialect: Dialect,  # noqa: ARG002
    ) -> Any:
        """Read an array of float32."""
        return None if value is None else np.load(io.BytesIO(value), allow_pickle=False)
