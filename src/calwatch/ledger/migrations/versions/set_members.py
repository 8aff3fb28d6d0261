"""Keep which exposures a judged set consists of."""

import sqlalchemy as sa
from alembic import op

from calwatch.ledger.types import BigId

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Create the table: no set has been judged before."""
    op.create_table(
        "set_member",
        sa.Column("judgement_id", BigId, sa.ForeignKey("judgement.id"), primary_key=True),
        sa.Column("exposure_id", sa.BigInteger, primary_key=True),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_set_member_exposure", "set_member", ["exposure_id"])


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("set_member")
