"""assistants: prompts and memory"""

import sqlalchemy as sa
from alembic import op

revision = "assistants_0002_0c60"
down_revision = "assistants_0001_58ef"
branch_labels = None
depends_on = ("accounts_0005_2f8d",)


def upgrade() -> None:
    op.create_table(
        "assistants_memory",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("owner_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("text", sa.String(length=200), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["owner_id"],
            ["accounts_user.id"],
            name=op.f("fk_assistants_memory_owner_id_accounts_user"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_assistants_memory")),
    )
    with op.batch_alter_table("assistants_memory") as batch_op:
        batch_op.create_index(batch_op.f("ix_assistants_memory_owner_id"), ["owner_id"], unique=False)

    op.create_table(
        "assistants_memory_consent",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("owner_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["owner_id"],
            ["accounts_user.id"],
            name=op.f("fk_assistants_memory_consent_owner_id_accounts_user"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_assistants_memory_consent")),
    )
    with op.batch_alter_table("assistants_memory_consent") as batch_op:
        batch_op.create_index(batch_op.f("ix_assistants_memory_consent_owner_id"), ["owner_id"], unique=True)

    op.create_table(
        "assistants_prompt",
        sa.Column("shared_with", sa.String(length=64), nullable=False),
        sa.Column("team_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("shared_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("owner_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("description", sa.String(length=300), nullable=False),
        sa.Column("text", sa.String(length=8000), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("shared_with IN ('me', 'team', 'site')", name=op.f("ck_assistants_prompt_shared_with")),
        sa.ForeignKeyConstraint(
            ["owner_id"],
            ["accounts_user.id"],
            name=op.f("fk_assistants_prompt_owner_id_accounts_user"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_assistants_prompt")),
    )
    with op.batch_alter_table("assistants_prompt") as batch_op:
        batch_op.create_index(batch_op.f("ix_assistants_prompt_owner_id"), ["owner_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_assistants_prompt_team_id"), ["team_id"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("assistants_prompt") as batch_op:
        batch_op.drop_index(batch_op.f("ix_assistants_prompt_team_id"))
        batch_op.drop_index(batch_op.f("ix_assistants_prompt_owner_id"))

    op.drop_table("assistants_prompt")
    with op.batch_alter_table("assistants_memory_consent") as batch_op:
        batch_op.drop_index(batch_op.f("ix_assistants_memory_consent_owner_id"))

    op.drop_table("assistants_memory_consent")
    with op.batch_alter_table("assistants_memory") as batch_op:
        batch_op.drop_index(batch_op.f("ix_assistants_memory_owner_id"))

    op.drop_table("assistants_memory")
