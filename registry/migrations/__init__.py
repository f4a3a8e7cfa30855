"""The registry's schema, step by step, by Alembic. `registry.database` runs them; nobody else needs to."""
