"""chat: documents"""

import sqlalchemy as sa
from alembic import op

revision = "chat_0005_a8e2"
down_revision = "chat_0004_0ff2"
branch_labels = None
depends_on = ("answers_0003_5d3c",)


def upgrade() -> None:
    op.create_table(
        "chat_document",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("conversation_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("title", sa.String(length=100), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["conversation_id"],
            ["chat_conversation.id"],
            name=op.f("fk_chat_document_conversation_id_chat_conversation"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_chat_document")),
    )
    with op.batch_alter_table("chat_document") as batch_op:
        batch_op.create_index(batch_op.f("ix_chat_document_conversation_id"), ["conversation_id"], unique=False)

    op.create_table(
        "chat_document_version",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("document_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("base", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("answer_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("model", sa.String(length=200), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["answer_id"],
            ["answers_answer.id"],
            name=op.f("fk_chat_document_version_answer_id_answers_answer"),
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["document_id"],
            ["chat_document.id"],
            name=op.f("fk_chat_document_version_document_id_chat_document"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_chat_document_version")),
        sa.UniqueConstraint("document_id", "number", name=op.f("uq_chat_document_version_document_id_number")),
    )
    with op.batch_alter_table("chat_document_version") as batch_op:
        batch_op.create_index(batch_op.f("ix_chat_document_version_answer_id"), ["answer_id"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("chat_document_version") as batch_op:
        batch_op.drop_index(batch_op.f("ix_chat_document_version_answer_id"))

    op.drop_table("chat_document_version")
    with op.batch_alter_table("chat_document") as batch_op:
        batch_op.drop_index(batch_op.f("ix_chat_document_conversation_id"))

    op.drop_table("chat_document")
