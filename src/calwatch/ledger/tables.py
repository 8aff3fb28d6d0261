"""The tables of the ledger.

Measurements are kept wide, one row per metric with the values of all amplifiers in camera order:
a row per amplifier would be millions a day for LSSTCam.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from calwatch.ledger.types import BigId, CompressedJson, SingleArray, UtcDateTime

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
    Column("obs_id", String(64), nullable=False),
    Column("physical_filter", String(64), nullable=False),
    Column("band", String(32), nullable=False),
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

measured_array = Table(
    "measured_array",
    metadata,
    Column("judgement_id", BigId, ForeignKey("judgement.id"), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("values", SingleArray, nullable=False),
)
"""Projections and correlations of one judgement. They are most of the bytes and the least asked
for, so they stand apart from the document and may be dropped after some time."""

brief = Table(
    "brief",
    metadata,
    Column("judgement_id", BigId, ForeignKey("judgement.id"), primary_key=True),
    Column("sequencer", Text, nullable=False),
    Column("content", CompressedJson, nullable=False),
)
"""One judgement in short (`calwatch.verify.brief`): trends and pictures read thousands of these."""

set_member = Table(
    "set_member",
    metadata,
    Column("judgement_id", BigId, ForeignKey("judgement.id"), primary_key=True),
    Column("exposure_id", BigInteger, primary_key=True),
    Index("ix_set_member_exposure", "exposure_id"),
    sqlite_with_rowid=False,
)
"""The exposures of a set that was judged; a judgement of a single exposure has none."""

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
    Column("obs_id", String(64), nullable=False),
    Column("physical_filter", String(64), nullable=False),
    Column("band", String(32), nullable=False),
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
    Index("ix_exposure_verdict_type", "instrument", "calib_type", "exposure_end_utc"),
)
"""The merged verdict of an exposure; ``last_judgement_id`` tells whether it is up to date."""

outbox = Table(
    "outbox",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("judgement_id", BigId, ForeignKey("judgement.id"), nullable=True),
    Column("exposure_verdict_id", BigId, ForeignKey("exposure_verdict.id"), nullable=True),
    Column("expectation_id", BigId, ForeignKey("expectation.id"), nullable=True),
    Column("created_at", UtcDateTime, nullable=False),
    Column("alarm_transition_id", BigId, ForeignKey("alarm_transition.id"), nullable=True),
    sqlite_autoincrement=True,
)
"""What is still to be published, in order: each row points at the one thing it tells of, so it is
small, and what is sent is always the present state of that thing."""

notice = Table(
    "notice",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("instrument", String(64), nullable=False),
    Column("exposure_id", BigInteger, nullable=False),
    Column("detector", Integer, nullable=False),
    Column("status", Integer, nullable=False),
    Column("text", Text, nullable=False),
    Column("noticed_at", UtcDateTime, nullable=False),
    UniqueConstraint("instrument", "exposure_id", "detector", name="uq_notice_key"),
)
"""Announced files that are not judged yet: kept until the ledger has the judgement, so that an
event's offset can be committed as soon as its notice is here. Status 0 says that the file was
ingested; any other that the ingest failed, and the text says why."""

expectation = Table(
    "expectation",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("instrument", String(64), nullable=False),
    Column("exposure_id", BigInteger, nullable=False),
    Column("obs_id", String(64), nullable=False),
    Column("calib_type", String(32), nullable=False),
    Column("end_of_readout_utc", UtcDateTime, nullable=False),
    Column("due_at", UtcDateTime, nullable=False),
    Column("expected", JSON, nullable=False),
    Column("missing", JSON(none_as_null=True), nullable=True),
    Column("checked_at", UtcDateTime, nullable=True),
    UniqueConstraint("instrument", "exposure_id", name="uq_expectation_key"),
    Index("ix_expectation_due", "due_at"),
    Index("ix_expectation_instrument", "instrument", "due_at"),
)
"""Exposures whose readout was announced: which detectors should come, and, once looked at after
the time they were due, which have not (an empty list: all are there)."""

alarm_book = Table(
    "alarm_book",
    metadata,
    Column("instrument", String(64), primary_key=True),
    Column("document", CompressedJson, nullable=True),
    Column("updated_at", UtcDateTime, nullable=False),
)
"""What is remembered of an instrument between two exposures. Whoever changes an alarm of the
instrument locks this row first."""

_OPEN = text("closed_at IS NULL")

alarm = Table(
    "alarm",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("instrument", String(64), nullable=False),
    Column("name", Text, nullable=False),
    Column("family", String(64), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("part", Text, nullable=False),
    Column("severity", Integer, nullable=False),
    Column("max_severity", Integer, nullable=False),
    Column("acknowledged", Boolean, nullable=False),
    Column("opened_at", UtcDateTime, nullable=False),
    Column("closed_at", UtcDateTime, nullable=True),
    Column("document", CompressedJson, nullable=False),
    Index(
        "uq_alarm_open", "instrument", "name", unique=True,
        sqlite_where=_OPEN, postgresql_where=_OPEN,
    ),
    Index("ix_alarm_name", "name", "id"),
    Index("ix_alarm_closed", "closed_at"),
)  # fmt: skip
"""One episode of one problem, as it stands; it is open until it has a time of closing. No two open
ones have the same name."""

alarm_transition = Table(
    "alarm_transition",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("alarm_id", BigId, ForeignKey("alarm.id"), nullable=False),
    Column("instrument", String(64), nullable=False),
    Column("what", String(32), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("who", Text, nullable=False),
    Column("quiet", Boolean, nullable=False),
    Column("document", CompressedJson, nullable=False),
    Index("ix_alarm_transition_alarm", "alarm_id", "id"),
    Index("ix_alarm_transition_at", "at", "instrument"),
)
"""The history of all alarms: what happened, with the alarm as it was afterwards."""

alarm_delivery = Table(
    "alarm_delivery",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("transition_id", BigId, ForeignKey("alarm_transition.id"), nullable=False),
    Column("alarm_id", BigId, ForeignKey("alarm.id"), nullable=False),
    Column("channel", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    Column("due_at", UtcDateTime, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("repeat", Boolean, nullable=False),
    Column("tried_at", UtcDateTime, nullable=True),
    Column("sent_at", UtcDateTime, nullable=True),
    Column("error", Text, nullable=False),
    UniqueConstraint("transition_id", "channel", name="uq_alarm_delivery_key"),
    Index("ix_alarm_delivery_due", "channel", "state", "due_at"),
)
"""Which channel is to tell of which transition, and what came of it: ``waiting``, ``sending``,
``sent``, ``failed`` or ``dropped``. It is kept, as the record of who was told."""

alarm_queue = Table(
    "alarm_queue",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("exposure_verdict_id", BigId, ForeignKey("exposure_verdict.id"), nullable=True),
    Column("expectation_id", BigId, ForeignKey("expectation.id"), nullable=True),
    Column("created_at", UtcDateTime, nullable=False),
    sqlite_autoincrement=True,
)
"""What the alarms must still look at."""

heartbeat = Table(
    "heartbeat",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("at", UtcDateTime, nullable=False),
    Column("document", JSON, nullable=False),
)
"""When each process last said that it lives."""
