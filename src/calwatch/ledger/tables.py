"""The tables of the ledger.

Measurements are kept wide, one row per metric with the values of all amplifiers in camera order:
a row per amplifier would be millions a day for LSSTCam.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from calwatch.ledger.types import BigId, CompressedJson, UtcDateTime

metadata = MetaData()

judgement = Table(
    "judgement",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("instrument", String(64), nullable=False),
    Column("exposure_id", BigInteger, nullable=False),
    Column("detector", Integer, nullable=False),
    Column("fingerprint", String(64), nullable=False),
    Column("algorithm", String(32), nullable=False),
    Column("detector_name", String(64), nullable=False),
    Column("calib_type", String(32), nullable=False),
    Column("verdict", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("limits", Text, nullable=False),
    Column("physical_filter", String(64), nullable=False),
    Column("day_obs", Integer, nullable=False),
    Column("seq_num", Integer, nullable=False),
    Column("exposure_end_utc", UtcDateTime, nullable=True),
    Column("judged_at", UtcDateTime, nullable=False),
    Column("amps", JSON, nullable=False),
    Column("document", CompressedJson, nullable=False),
    UniqueConstraint(
        "instrument",
        "exposure_id",
        "detector",
        "fingerprint",
        "algorithm",
        name="uq_judgement_key",
    ),
    Index("ix_judgement_trend", "instrument", "detector", "calib_type", "exposure_end_utc"),
    Index("ix_judgement_day", "instrument", "day_obs"),
)
"""One detector of one exposure judged against one certified chain by one algorithm."""

measurement = Table(
    "measurement",
    metadata,
    Column("judgement_id", BigId, ForeignKey("judgement.id"), primary_key=True),
    Column("level", String(16), primary_key=True),
    Column("metric", String(64), primary_key=True),
    Column("values", JSON, nullable=False),
    sqlite_with_rowid=False,
)
"""One metric of one judgement: level ``amp`` (a value per name in ``judgement.amps``) or
``detector`` (one value)."""

provenance = Table(
    "provenance",
    metadata,
    Column("judgement_id", BigId, ForeignKey("judgement.id"), primary_key=True),
    Column("calib_type", String(32), primary_key=True),
    Column("uuid", String(64), nullable=False),
    Column("run", Text, nullable=False),
    Column("collection", Text, nullable=False),
    Column("begin", String(64), nullable=True),
    Column("end", String(64), nullable=True),
    Index("ix_provenance_uuid", "uuid"),
    sqlite_with_rowid=False,
)
"""Which certified calibration stood behind a judgement; begin and end as its document has them."""

exposure_verdict = Table(
    "exposure_verdict",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("instrument", String(64), nullable=False),
    Column("exposure_id", BigInteger, nullable=False),
    Column("algorithm", String(32), nullable=False),
    Column("calib_type", String(32), nullable=False),
    Column("verdict", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("physical_filter", String(64), nullable=False),
    Column("day_obs", Integer, nullable=False),
    Column("seq_num", Integer, nullable=False),
    Column("exposure_end_utc", UtcDateTime, nullable=True),
    Column("judged_at", UtcDateTime, nullable=False),
    Column("n_pass", Integer, nullable=False),
    Column("n_fail", Integer, nullable=False),
    Column("n_unknown", Integer, nullable=False),
    Column("expected", JSON, nullable=False),
    Column("last_judgement_id", BigInteger, nullable=False),
    Column("document", CompressedJson, nullable=False),
    UniqueConstraint("instrument", "exposure_id", "algorithm", name="uq_exposure_verdict_key"),
    Index("ix_exposure_verdict_day", "instrument", "day_obs"),
)
"""The merged verdict of an exposure; ``last_judgement_id`` tells whether it is up to date."""
