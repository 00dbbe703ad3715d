"""admin: imports"""

import sqlalchemy as sa
from alembic import op

revision = "admin_0007_c2d8"
down_revision = "admin_0006_9b41"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "admin_import",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("owner_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("identity", sa.String(length=100), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("choices", sa.JSON(), nullable=False),
        sa.Column("result", sa.JSON(), nullable=False),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["owner_id"],
            ["accounts_user.id"],
            name=op.f("fk_admin_import_owner_id_accounts_user"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_admin_import")),
    )
    with op.batch_alter_table("admin_import") as batch_op:
        batch_op.create_index(batch_op.f("ix_admin_import_created_at"), ["created_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_admin_import_owner_id"), ["owner_id"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("admin_import") as batch_op:
        batch_op.drop_index(batch_op.f("ix_admin_import_owner_id"))
        batch_op.drop_index(batch_op.f("ix_admin_import_created_at"))

    op.drop_table("admin_import")
