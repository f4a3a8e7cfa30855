"""Remember the URL parameters that were removed from an entry when it was written."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("entry", sa.Column("removed", sa.JSON(), nullable=False, server_default="{}"))
