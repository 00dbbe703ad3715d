"""admin: initial"""

import sqlalchemy as sa
from alembic import op

revision = "admin_0001_7296"
down_revision = None
branch_labels = ("admin",)
depends_on = None


def upgrade() -> None:
    op.create_table(
        "admin_audit_entry",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("actor", sa.String(length=320), nullable=False),
        sa.Column("action", sa.String(length=100), nullable=False),
        sa.Column("identity", sa.String(length=100), nullable=False),
        sa.Column("row_id", sa.String(length=64), nullable=False),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.Column("changes", sa.JSON(), nullable=False),
        sa.Column("address", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_admin_audit_entry")),
    )
    with op.batch_alter_table("admin_audit_entry") as batch_op:
        batch_op.create_index(batch_op.f("ix_admin_audit_entry_actor_id"), ["actor_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_admin_audit_entry_at"), ["at"], unique=False)
        batch_op.create_index("ix_admin_audit_entry_row", ["identity", "row_id"], unique=False)


def downgrade() -> None:
    op.drop_table("admin_audit_entry")
