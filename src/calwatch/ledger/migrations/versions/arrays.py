"""Keep projections and correlations apart from the document of a result."""

import sqlalchemy as sa
from alembic import op

from calwatch.ledger.types import BigId, SingleArray

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Create the table; documents that hold arrays keep them."""
    op.create_table(
        "measured_array",
        sa.Column("judgement_id", BigId, sa.ForeignKey("judgement.id"), primary_key=True),
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("values", SingleArray, nullable=False),
    )


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("measured_array")
