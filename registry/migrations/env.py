"""Alembic's entry: runs the migrations in the transaction that `registry.database` opened."""

from alembic import context

from registry.model import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
