"""Run migrations on the connection that `calwatch.ledger.upgrade` holds the lock with."""

from alembic import context

from calwatch.ledger.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
)
context.run_migrations()
