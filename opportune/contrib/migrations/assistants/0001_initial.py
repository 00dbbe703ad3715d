"""assistants: initial"""

import sqlalchemy as sa
from alembic import op

revision = "assistants_0001_58ef"
down_revision = None
branch_labels = ("assistants",)
depends_on = ("accounts_0001_176d",)


def upgrade() -> None:
    op.create_table(
        "assistants_assistant",
        sa.Column("shared_with", sa.String(length=64), nullable=False),
        sa.Column("team_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("shared_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("owner_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("description", sa.String(length=300), nullable=False),
        sa.Column("icon", sa.String(length=40), nullable=False),
        sa.Column("instructions", sa.String(length=20000), nullable=False),
        sa.Column("model", sa.String(length=100), nullable=False),
        sa.Column("temperature", sa.Float(), nullable=True),
        sa.Column("tools", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("knowledge", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("starters", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("shared_with IN ('me', 'team', 'site')", name=op.f("ck_assistants_assistant_shared_with")),
        sa.ForeignKeyConstraint(
            ["owner_id"],
            ["accounts_user.id"],
            name=op.f("fk_assistants_assistant_owner_id_accounts_user"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_assistants_assistant")),
    )
    with op.batch_alter_table("assistants_assistant") as batch_op:
        batch_op.create_index(batch_op.f("ix_assistants_assistant_owner_id"), ["owner_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_assistants_assistant_team_id"), ["team_id"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("assistants_assistant") as batch_op:
        batch_op.drop_index(batch_op.f("ix_assistants_assistant_team_id"))
        batch_op.drop_index(batch_op.f("ix_assistants_assistant_owner_id"))

    op.drop_table("assistants_assistant")
