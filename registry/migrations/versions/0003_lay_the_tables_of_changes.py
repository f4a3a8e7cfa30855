"""Lay the tables of tokens, tenant roles, certificate files and tombstones, and those of dependents anew."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "tenant_member",
        sa.Column("user", sa.String(length=255), nullable=False),
        sa.Column("role", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("user", "role", name=op.f("pk_tenant_member")),
    )
    op.create_table(
        "token",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("user", sa.String(length=255), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("creator", sa.String(length=255), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_token")),
        sa.UniqueConstraint("digest", name=op.f("uq_token_digest")),
        sa.UniqueConstraint("user", "name", name=op.f("uq_token_user_name")),
    )
    op.create_table(
        "certificate_file",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("key_id", sa.String(length=16), nullable=False),
        sa.Column("ciphertext", sa.LargeBinary(), nullable=False),
        sa.Column("creator", sa.String(length=255), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspace.id"], name=op.f("fk_certificate_file_workspace_id"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_certificate_file")),
        sa.UniqueConstraint("workspace_id", "name", name=op.f("uq_certificate_file_workspace_id_name")),
    )
    op.create_index("ix_certificate_file_key_id", "certificate_file", ["key_id"])
    op.create_table(
        "tombstone",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("envs", sa.JSON(), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.Column("creator", sa.String(length=255), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspace.id"], name=op.f("fk_tombstone_workspace_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tombstone")),
    )
    op.create_index("ix_tombstone_expires_at", "tombstone", ["expires_at"])
    op.create_index("ix_tombstone_workspace_id_name", "tombstone", ["workspace_id", "name"])
    op.create_table(
        "buried_secret",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("tombstone_id", sa.String(length=32), nullable=False),
        sa.Column("env", sa.String(length=8), nullable=False),
        sa.Column("field", sa.String(length=64), nullable=False),
        sa.Column("key_id", sa.String(length=16), nullable=False),
        sa.Column("ciphertext", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["tombstone_id"], ["tombstone.id"], name=op.f("fk_buried_secret_tombstone_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_buried_secret")),
    )
    op.create_index("ix_buried_secret_key_id", "buried_secret", ["key_id"])
    op.create_index("ix_buried_secret_tombstone_id", "buried_secret", ["tombstone_id"])
    op.add_column("data_source", sa.Column("maintenance", sa.JSON(), nullable=True))
    op.add_column("plan", sa.Column("version", sa.Integer(), nullable=False, server_default="1"))
    op.add_column("plan", sa.Column("why", sa.Text(), nullable=False, server_default=""))
    op.add_column("plan_step", sa.Column("message", sa.Text(), nullable=False, server_default=""))
    op.create_index("ix_plan_step_plan_id_state", "plan_step", ["plan_id", "state"])

    # Nothing has written these two before.
    op.drop_table("reference")
    op.drop_table("dependent")
    op.create_table(
        "dependent",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("adapter", sa.String(length=32), nullable=False),
        sa.Column("key", sa.String(length=800), nullable=False),
        sa.Column("unit", sa.String(length=800), nullable=False),
        sa.Column("module", sa.String(length=64), nullable=False),
        sa.Column("task_kind", sa.String(length=64), nullable=False),
        sa.Column("env", sa.String(length=8), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("owner", sa.String(length=255), nullable=False),
        sa.Column("resource_group", sa.String(length=255), nullable=False),
        sa.Column("location", sa.Text(), nullable=False),
        sa.Column("locked_by", sa.String(length=255), nullable=False),
        sa.Column("last_run_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.CheckConstraint("env IN ('dev', 'prod')", name=op.f("ck_dependent_env")),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspace.id"], name=op.f("fk_dependent_workspace_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dependent")),
        sa.UniqueConstraint("adapter", "key", name=op.f("uq_dependent_adapter_key")),
    )
    op.create_index("ix_dependent_unit", "dependent", ["unit"])
    op.create_index("ix_dependent_workspace_id_module_env", "dependent", ["workspace_id", "module", "env"])
    op.create_table(
        "reference",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("dependent_id", sa.Integer(), nullable=False),
        sa.Column("data_source_id", sa.Integer(), nullable=True),
        sa.Column("source", sa.String(length=520), nullable=False),
        sa.Column("env", sa.String(length=8), nullable=False),
        sa.Column("role", sa.String(length=32), nullable=False),
        sa.Column("objects", sa.JSON(), nullable=False),
        sa.Column("places", sa.JSON(), nullable=False),
        sa.CheckConstraint("env IN ('dev', 'prod')", name=op.f("ck_reference_env")),
        sa.ForeignKeyConstraint(
            ["data_source_id"], ["data_source.id"], name=op.f("fk_reference_data_source_id"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["dependent_id"], ["dependent.id"], name=op.f("fk_reference_dependent_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reference")),
        sa.UniqueConstraint(
            "dependent_id", "source", "env", "role", name=op.f("uq_reference_dependent_id_source_env_role")
        ),
    )
    op.create_index(
        "ix_reference_data_source_id_env_dependent_id", "reference", ["data_source_id", "env", "dependent_id"]
    )
