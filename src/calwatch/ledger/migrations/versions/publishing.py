"""Create outbox, notices and expectations; keep what a message says of the exposure."""

import sqlalchemy as sa
from alembic import op

from calwatch.ledger.types import BigId, UtcDateTime

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the columns, create the tables."""
    for table in ("judgement", "exposure_verdict"):
        for name, size in (("obs_id", 64), ("band", 32)):
            column = sa.Column(name, sa.String(size), nullable=False, server_default="")
            op.add_column(table, column)
    _create_notice()
    _create_expectation()
    op.create_table(
        "outbox",
        sa.Column("id", BigId, primary_key=True),
        *(
            sa.Column(f"{owner}_id", BigId, sa.ForeignKey(f"{owner}.id"), nullable=True)
            for owner in ("judgement", "exposure_verdict", "expectation")
        ),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sqlite_autoincrement=True,
    )


def _create_notice() -> None:
    op.create_table(
        "notice",
        sa.Column("id", BigId, primary_key=True),
        sa.Column("instrument", sa.String(64), nullable=False),
        sa.Column("exposure_id", sa.BigInteger, nullable=False),
        sa.Column("detector", sa.Integer, nullable=False),
        sa.Column("status", sa.Integer, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("noticed_at", UtcDateTime, nullable=False),
        sa.UniqueConstraint("instrument", "exposure_id", "detector", name="uq_notice_key"),
    )


def _create_expectation() -> None:
    op.create_table(
        "expectation",
        sa.Column("id", BigId, primary_key=True),
        sa.Column("instrument", sa.String(64), nullable=False),
        sa.Column("exposure_id", sa.BigInteger, nullable=False),
        sa.Column("obs_id", sa.String(64), nullable=False),
        sa.Column("calib_type", sa.String(32), nullable=False),
        sa.Column("end_of_readout_utc", UtcDateTime, nullable=False),
        sa.Column("due_at", UtcDateTime, nullable=False),
        sa.Column("expected", sa.JSON, nullable=False),
        sa.Column("missing", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("checked_at", UtcDateTime, nullable=True),
        sa.UniqueConstraint("instrument", "exposure_id", name="uq_expectation_key"),
    )
    op.create_index("ix_expectation_due", "expectation", ["due_at"])


def downgrade() -> None:
    """Drop what was added."""
    for table in ("outbox", "expectation", "notice"):
        op.drop_table(table)
    for table in ("judgement", "exposure_verdict"):
        op.drop_column(table, "band")
        op.drop_column(table, "obs_id")
