"""admin: row versions"""

import sqlalchemy as sa
from alembic import op

revision = "admin_0005_5c1e"
down_revision = "admin_0004_1e7f"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "admin_row_version",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("model_table", sa.String(length=100), nullable=False),
        sa.Column("row_id", sa.String(length=64), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("channel", sa.String(length=100), nullable=False),
        sa.Column("values", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_admin_row_version")),
    )
    with op.batch_alter_table("admin_row_version") as batch_op:
        batch_op.create_index(batch_op.f("ix_admin_row_version_at"), ["at"], unique=False)
        batch_op.create_index("ix_admin_row_version_row", ["model_table", "row_id"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("admin_row_version") as batch_op:
        batch_op.drop_index("ix_admin_row_version_row")
        batch_op.drop_index(batch_op.f("ix_admin_row_version_at"))

    op.drop_table("admin_row_version")
