"""chat: initial"""

import sqlalchemy as sa
from alembic import op

revision = "chat_0001_bd99"
down_revision = None
branch_labels = ("chat",)
depends_on = ("accounts_0001_176d", "answers_0001_679b")


def upgrade() -> None:
    op.create_table(
        "chat_conversation",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("owner_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("title", sa.String(length=100), nullable=False),
        sa.Column("titled_by", sa.String(length=64), nullable=False),
        sa.Column("leaf_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("model", sa.String(length=100), nullable=False),
        sa.Column("system_prompt", sa.Text(), nullable=False),
        sa.Column("temperature", sa.Float(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "titled_by IN ('question', 'model', 'person')", name=op.f("ck_chat_conversation_titled_by")
        ),
        sa.ForeignKeyConstraint(
            ["owner_id"],
            ["accounts_user.id"],
            name=op.f("fk_chat_conversation_owner_id_accounts_user"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_chat_conversation")),
    )
    with op.batch_alter_table("chat_conversation") as batch_op:
        batch_op.create_index("ix_chat_conversation_owner_used", ["owner_id", "used_at"], unique=False)

    op.create_table(
        "chat_message",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("conversation_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("parent_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("role", sa.String(length=64), nullable=False),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("attachment_ids", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("answer_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("client_key", sa.String(length=64), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("role IN ('user', 'assistant')", name=op.f("ck_chat_message_role")),
        sa.ForeignKeyConstraint(
            ["answer_id"],
            ["answers_answer.id"],
            name=op.f("fk_chat_message_answer_id_answers_answer"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["conversation_id"],
            ["chat_conversation.id"],
            name=op.f("fk_chat_message_conversation_id_chat_conversation"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["parent_id"], ["chat_message.id"], name=op.f("fk_chat_message_parent_id_chat_message"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_chat_message")),
        sa.UniqueConstraint("answer_id", name=op.f("uq_chat_message_answer_id")),
    )
    with op.batch_alter_table("chat_message") as batch_op:
        batch_op.create_index(batch_op.f("ix_chat_message_conversation_id"), ["conversation_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_chat_message_parent_id"), ["parent_id"], unique=False)
        batch_op.create_index("uq_chat_message_client_key", ["conversation_id", "client_key"], unique=True)

    op.create_table(
        "chat_share",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("conversation_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("message_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("title", sa.String(length=100), nullable=False),
        sa.Column("token", sa.String(length=40), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["conversation_id"],
            ["chat_conversation.id"],
            name=op.f("fk_chat_share_conversation_id_chat_conversation"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["message_id"], ["chat_message.id"], name=op.f("fk_chat_share_message_id_chat_message"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_chat_share")),
        sa.UniqueConstraint("token", name=op.f("uq_chat_share_token")),
    )
    with op.batch_alter_table("chat_share") as batch_op:
        batch_op.create_index(batch_op.f("ix_chat_share_conversation_id"), ["conversation_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_chat_share_message_id"), ["message_id"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("chat_share") as batch_op:
        batch_op.drop_index(batch_op.f("ix_chat_share_message_id"))
        batch_op.drop_index(batch_op.f("ix_chat_share_conversation_id"))

    op.drop_table("chat_share")
    with op.batch_alter_table("chat_message") as batch_op:
        batch_op.drop_index("uq_chat_message_client_key")
        batch_op.drop_index(batch_op.f("ix_chat_message_parent_id"))
        batch_op.drop_index(batch_op.f("ix_chat_message_conversation_id"))

    op.drop_table("chat_message")
    with op.batch_alter_table("chat_conversation") as batch_op:
        batch_op.drop_index("ix_chat_conversation_owner_used")

    op.drop_table("chat_conversation")
