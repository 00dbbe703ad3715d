"""admin: saved views"""

import sqlalchemy as sa
from alembic import op

revision = "admin_0003_f0b3"
down_revision = "admin_0002_7395"
branch_labels = None
depends_on = ("accounts_0001_176d",)


def upgrade() -> None:
    op.create_table(
        "admin_saved_view",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("owner_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("identity", sa.String(length=100), nullable=False),
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("query", sa.Text(), nullable=False),
        sa.Column("group_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("is_pinned", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["group_id"],
            ["accounts_group.id"],
            name=op.f("fk_admin_saved_view_group_id_accounts_group"),
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["owner_id"],
            ["accounts_user.id"],
            name=op.f("fk_admin_saved_view_owner_id_accounts_user"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_admin_saved_view")),
        sa.UniqueConstraint("owner_id", "identity", "name", name=op.f("uq_admin_saved_view_owner_id_identity_name")),
    )
    with op.batch_alter_table("admin_saved_view") as batch_op:
        batch_op.create_index(batch_op.f("ix_admin_saved_view_group_id"), ["group_id"], unique=False)

    op.create_table(
        "admin_default_view",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("user_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("identity", sa.String(length=100), nullable=False),
        sa.Column("view_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["accounts_user.id"],
            name=op.f("fk_admin_default_view_user_id_accounts_user"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["view_id"],
            ["admin_saved_view.id"],
            name=op.f("fk_admin_default_view_view_id_admin_saved_view"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_admin_default_view")),
        sa.UniqueConstraint("user_id", "identity", name=op.f("uq_admin_default_view_user_id_identity")),
    )
    with op.batch_alter_table("admin_default_view") as batch_op:
        batch_op.create_index(batch_op.f("ix_admin_default_view_view_id"), ["view_id"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("admin_default_view") as batch_op:
        batch_op.drop_index(batch_op.f("ix_admin_default_view_view_id"))

    op.drop_table("admin_default_view")
    with op.batch_alter_table("admin_saved_view") as batch_op:
        batch_op.drop_index(batch_op.f("ix_admin_saved_view_group_id"))

    op.drop_table("admin_saved_view")
