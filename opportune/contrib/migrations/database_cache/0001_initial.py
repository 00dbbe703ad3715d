"""database_cache: initial"""

import sqlalchemy as sa
from alembic import op

revision = "database_cache_0001_a12f"
down_revision = None
branch_labels = ("database_cache",)
depends_on = None


def upgrade() -> None:
    op.create_table(
        "database_cache_row",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_database_cache_row")),
    )
    with op.batch_alter_table("database_cache_row") as batch_op:
        batch_op.create_index(batch_op.f("ix_database_cache_row_expires_at"), ["expires_at"], unique=False)


def downgrade() -> None:
    op.drop_table("database_cache_row")
