"""admin: saved views, dashboards, versions of rows, imports and names of actions"""

import sqlalchemy as sa
from alembic import op

revision = "admin_0008_4e9a"
down_revision = "admin_0002_7395"
branch_labels = None
replaces = ("admin_0003_f0b3", "admin_0004_1e7f", "admin_0005_5c1e", "admin_0006_9b41", "admin_0007_c2d8")
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
        sa.Column("schedule", sa.String(length=10), server_default="never", nullable=False),
        sa.Column("sent_on", sa.Date(), nullable=True),
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

    op.execute("UPDATE admin_audit_entry SET action = 'update' WHERE action = 'edit'")


def downgrade() -> None:
    op.execute("UPDATE admin_audit_entry SET action = 'edit' WHERE action = 'update'")
    for table in ("import", "row_version", "dashboard", "default_view", "saved_view"):
        op.drop_table(f"admin_{table}")
