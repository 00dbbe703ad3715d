"""admin: dashboard"""

import sqlalchemy as sa
from alembic import op

revision = "admin_0004_1e7f"
down_revision = "admin_0003_f0b3"
branch_labels = None
depends_on = ("accounts_0001_176d",)


def upgrade() -> None:
    op.create_table(
        "admin_dashboard",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("group_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("user_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("widgets", sa.JSON(none_as_null=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["group_id"],
            ["accounts_group.id"],
            name=op.f("fk_admin_dashboard_group_id_accounts_group"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["accounts_user.id"], name=op.f("fk_admin_dashboard_user_id_accounts_user"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_admin_dashboard")),
        sa.UniqueConstraint("name", name=op.f("uq_admin_dashboard_name")),
    )
    with op.batch_alter_table("admin_dashboard") as batch_op:
        batch_op.create_index(batch_op.f("ix_admin_dashboard_group_id"), ["group_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_admin_dashboard_user_id"), ["user_id"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("admin_dashboard") as batch_op:
        batch_op.drop_index(batch_op.f("ix_admin_dashboard_user_id"))
        batch_op.drop_index(batch_op.f("ix_admin_dashboard_group_id"))

    op.drop_table("admin_dashboard")
