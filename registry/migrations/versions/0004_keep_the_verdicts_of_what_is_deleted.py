"""Keep the history of verdicts under the tombstone of what was deleted."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    if sa.inspect(op.get_bind()).has_table("buried_verdict"):
        return  # for a while it was laid by 0003
    op.create_table(
        "buried_verdict",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("tombstone_id", sa.String(length=32), nullable=False),
        sa.Column("env", sa.String(length=8), nullable=False),
        sa.Column("resource_group", sa.String(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("cause", sa.String(length=64), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("elapsed_ms", sa.Float(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["tombstone_id"], ["tombstone.id"], name=op.f("fk_buried_verdict_tombstone_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_buried_verdict")),
    )
    op.create_index("ix_buried_verdict_tombstone_id", "buried_verdict", ["tombstone_id"])
