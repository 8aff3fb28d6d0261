"""Create alarms, their history, deliveries, queue and heartbeats; let the outbox tell of alarms."""

import sqlalchemy as sa
from alembic import op

from calwatch.ledger.types import BigId, CompressedJson, UtcDateTime

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Create the tables, add the column and two indices."""
    _create_alarm()
    _create_transition()
    _create_delivery()
    _create_queue()
    op.create_table(
        "heartbeat",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("at", UtcDateTime, nullable=False),
        sa.Column("document", sa.JSON, nullable=False),
    )
    by_type = ["instrument", "calib_type", "exposure_end_utc"]
    op.create_index("ix_exposure_verdict_type", "exposure_verdict", by_type)
    op.create_index("ix_expectation_instrument", "expectation", ["instrument", "due_at"])
    # In words that both databases know: SQLite's outbox is not to be made anew, with its numbers.
    kind = BigId.compile(op.get_bind().dialect)
    op.execute(
        f"ALTER TABLE outbox ADD COLUMN alarm_transition_id {kind} REFERENCES alarm_transition (id)"
    )


def _create_alarm() -> None:
    op.create_table(
        "alarm_book",
        sa.Column("instrument", sa.String(64), primary_key=True),
        sa.Column("document", CompressedJson, nullable=True),
        sa.Column("updated_at", UtcDateTime, nullable=False),
    )
    op.create_table(
        "alarm",
        sa.Column("id", BigId, primary_key=True),
        sa.Column("instrument", sa.String(64), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("family", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("part", sa.Text, nullable=False),
        sa.Column("severity", sa.Integer, nullable=False),
        sa.Column("max_severity", sa.Integer, nullable=False),
        sa.Column("acknowledged", sa.Boolean, nullable=False),
        sa.Column("opened_at", UtcDateTime, nullable=False),
        sa.Column("closed_at", UtcDateTime, nullable=True),
        sa.Column("document", CompressedJson, nullable=False),
    )
    is_open = sa.text("closed_at IS NULL")
    op.create_index(
        "uq_alarm_open",
        "alarm",
        ["instrument", "name"],
        unique=True,
        sqlite_where=is_open,
        postgresql_where=is_open,
    )
    op.create_index("ix_alarm_name", "alarm", ["name", "id"])
    op.create_index("ix_alarm_closed", "alarm", ["closed_at"])


def _create_transition() -> None:
    op.create_table(
        "alarm_transition",
        sa.Column("id", BigId, primary_key=True),
        sa.Column("alarm_id", BigId, sa.ForeignKey("alarm.id"), nullable=False),
        sa.Column("instrument", sa.String(64), nullable=False),
        sa.Column("what", sa.String(32), nullable=False),
        sa.Column("at", UtcDateTime, nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("quiet", sa.Boolean, nullable=False),
        sa.Column("document", CompressedJson, nullable=False),
    )
    op.create_index("ix_alarm_transition_alarm", "alarm_transition", ["alarm_id", "id"])
    op.create_index("ix_alarm_transition_at", "alarm_transition", ["at", "instrument"])


def _create_delivery() -> None:
    owner = "alarm_transition.id"
    op.create_table(
        "alarm_delivery",
        sa.Column("id", BigId, primary_key=True),
        sa.Column("transition_id", BigId, sa.ForeignKey(owner), nullable=False),
        sa.Column("alarm_id", BigId, sa.ForeignKey("alarm.id"), nullable=False),
        sa.Column("channel", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("due_at", UtcDateTime, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("repeat", sa.Boolean, nullable=False),
        sa.Column("tried_at", UtcDateTime, nullable=True),
        sa.Column("sent_at", UtcDateTime, nullable=True),
        sa.Column("error", sa.Text, nullable=False),
        sa.UniqueConstraint("transition_id", "channel", name="uq_alarm_delivery_key"),
    )
    op.create_index("ix_alarm_delivery_due", "alarm_delivery", ["channel", "state", "due_at"])


def _create_queue() -> None:
    op.create_table(
        "alarm_queue",
        sa.Column("id", BigId, primary_key=True),
        *(
            sa.Column(f"{owner}_id", BigId, sa.ForeignKey(f"{owner}.id"), nullable=True)
            for owner in ("exposure_verdict", "expectation")
        ),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sqlite_autoincrement=True,
    )


def downgrade() -> None:
    """Drop what was added."""
    op.execute("DELETE FROM outbox WHERE alarm_transition_id IS NOT NULL")
    options = {"sqlite_autoincrement": True}
    with op.batch_alter_table("outbox", table_kwargs=options) as batch:
        batch.drop_column("alarm_transition_id")
    op.drop_index("ix_expectation_instrument", "expectation")
    op.drop_index("ix_exposure_verdict_type", "exposure_verdict")
    for table in ("heartbeat", "alarm_queue", "alarm_delivery", "alarm_transition", "alarm"):
        op.drop_table(table)
    op.drop_table("alarm_book")
