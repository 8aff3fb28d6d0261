"""Create judgements, measurements, provenance and exposure verdicts."""

import sqlalchemy as sa
from alembic import op

from calwatch.ledger.types import BigId, CompressedJson, UtcDateTime

revision = "0001"
down_revision = None


def _what_was_taken() -> list[sa.Column[object]]:
    return [
        sa.Column("physical_filter", sa.String(64), nullable=False),
        sa.Column("day_obs", sa.Integer, nullable=False),
        sa.Column("seq_num", sa.Integer, nullable=False),
        sa.Column("exposure_end_utc", UtcDateTime, nullable=True),
        sa.Column("judged_at", UtcDateTime, nullable=False),
    ]


def upgrade() -> None:
    """Create the tables."""
    _create_judgement()
    _create_numbers()
    _create_exposure_verdict()


def _create_judgement() -> None:
    op.create_table(
        "judgement",
        sa.Column("id", BigId, primary_key=True),
        sa.Column("instrument", sa.String(64), nullable=False),
        sa.Column("exposure_id", sa.BigInteger, nullable=False),
        sa.Column("detector", sa.Integer, nullable=False),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("algorithm", sa.String(32), nullable=False),
        sa.Column("detector_name", sa.String(64), nullable=False),
        sa.Column("calib_type", sa.String(32), nullable=False),
        sa.Column("verdict", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("limits", sa.Text, nullable=False),
        *_what_was_taken(),
        sa.Column("amps", sa.JSON, nullable=False),
        sa.Column("document", CompressedJson, nullable=False),
        sa.UniqueConstraint(
            "instrument",
            "exposure_id",
            "detector",
            "fingerprint",
            "algorithm",
            name="uq_judgement_key",
        ),
    )
    trend = ["instrument", "detector", "calib_type", "exposure_end_utc"]
    op.create_index("ix_judgement_trend", "judgement", trend)
    op.create_index("ix_judgement_day", "judgement", ["instrument", "day_obs"])


def _create_numbers() -> None:
    owner = "judgement.id"
    op.create_table(
        "measurement",
        sa.Column("judgement_id", BigId, sa.ForeignKey(owner), primary_key=True),
        sa.Column("level", sa.String(16), primary_key=True),
        sa.Column("metric", sa.String(64), primary_key=True),
        sa.Column("values", sa.JSON, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "provenance",
        sa.Column("judgement_id", BigId, sa.ForeignKey(owner), primary_key=True),
        sa.Column("calib_type", sa.String(32), primary_key=True),
        sa.Column("uuid", sa.String(64), nullable=False),
        sa.Column("run", sa.Text, nullable=False),
        sa.Column("collection", sa.Text, nullable=False),
        sa.Column("begin", sa.String(64), nullable=True),
        sa.Column("end", sa.String(64), nullable=True),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_provenance_uuid", "provenance", ["uuid"])


def _create_exposure_verdict() -> None:
    op.create_table(
        "exposure_verdict",
        sa.Column("id", BigId, primary_key=True),
        sa.Column("instrument", sa.String(64), nullable=False),
        sa.Column("exposure_id", sa.BigInteger, nullable=False),
        sa.Column("algorithm", sa.String(32), nullable=False),
        sa.Column("calib_type", sa.String(32), nullable=False),
        sa.Column("verdict", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        *_what_was_taken(),
        sa.Column("n_pass", sa.Integer, nullable=False),
        sa.Column("n_fail", sa.Integer, nullable=False),
        sa.Column("n_unknown", sa.Integer, nullable=False),
        sa.Column("expected", sa.JSON, nullable=False),
        sa.Column("last_judgement_id", sa.BigInteger, nullable=False),
        sa.Column("document", CompressedJson, nullable=False),
        sa.UniqueConstraint(
            "instrument", "exposure_id", "algorithm", name="uq_exposure_verdict_key"
        ),
    )
    op.create_index("ix_exposure_verdict_day", "exposure_verdict", ["instrument", "day_obs"])


def downgrade() -> None:
    """Drop everything."""
    for table in ("exposure_verdict", "provenance", "measurement", "judgement"):
        op.drop_table(table)
