"""Keep every result in short beside its document, for trends and pictures of the focal plane."""

import json
import zlib

import sqlalchemy as sa
from alembic import op

from calwatch.ledger.types import BigId, CompressedJson
from calwatch.verify.brief import brief_of, to_plain
from calwatch.verify.codec import from_dict

revision = "0005"
down_revision = "0004"
PORTION = 200
"""Documents in memory at once."""


def upgrade() -> None:
    """Create the table, and fill it from the documents that are there."""
    brief = op.create_table(
        "brief",
        sa.Column("judgement_id", BigId, sa.ForeignKey("judgement.id"), primary_key=True),
        sa.Column("sequencer", sa.Text, nullable=False),
        sa.Column("content", CompressedJson, nullable=False),
    )
    connection = op.get_bind()
    last = 0
    while rows := _documents(connection, last):
        connection.execute(sa.insert(brief), [_row(*row) for row in rows])
        last = rows[-1][0]


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("brief")


def _documents(connection: sa.Connection, after: int) -> list[tuple[int, bytes]]:
    statement = sa.text("SELECT id, document FROM judgement WHERE id > :after ORDER BY id LIMIT :n")
    rows = connection.execute(statement, {"after": after, "n": PORTION})
    return [(row.id, row.document) for row in rows]


def _row(judgement_id: int, document: bytes) -> dict[str, object]:
    found = brief_of(from_dict(json.loads(zlib.decompress(document))))
    return {"judgement_id": judgement_id, "sequencer": found.sequencer, "content": to_plain(found)}
