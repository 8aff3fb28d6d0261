"""Let PostgreSQL store as they are the arrays and documents that do not shrink further.

It would try to compress each anew: half the time of recording a bias.
"""

from alembic import op

revision = "0006"
down_revision = "0005"
_COLUMNS = (("measured_array", "values"), ("judgement", "document"), ("brief", "content"))


def upgrade() -> None:
    """Store new values outside the row if they are large, and never compressed."""
    _set_storage("EXTERNAL")


def downgrade() -> None:
    """Let PostgreSQL compress again."""
    _set_storage("EXTENDED")


def _set_storage(kind: str) -> None:
    """SQLite compresses nothing, and has no such setting."""
    if op.get_context().dialect.name != "postgresql":
        return
    for table, column in _COLUMNS:
        op.execute(f'ALTER TABLE {table} ALTER COLUMN "{column}" SET STORAGE {kind}')
