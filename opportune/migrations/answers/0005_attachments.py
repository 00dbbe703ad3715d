"""answers: attachments"""

import sqlalchemy as sa
from alembic import op

revision = "answers_0005_d0ea"
down_revision = "answers_0004_c057"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "answers_attachment",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("owner_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("topic", sa.String(length=500), nullable=False),
        sa.Column("filename", sa.String(length=100), nullable=False),
        sa.Column("content_type", sa.String(length=100), nullable=False),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        sa.Column("stored_as", sa.String(length=200), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("omitted", sa.String(length=500), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["owner_id"],
            ["accounts_user.id"],
            name=op.f("fk_answers_attachment_owner_id_accounts_user"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_answers_attachment")),
    )
    with op.batch_alter_table("answers_attachment") as batch_op:
        batch_op.create_index(batch_op.f("ix_answers_attachment_owner_id"), ["owner_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_answers_attachment_topic"), ["topic"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("answers_attachment") as batch_op:
        batch_op.drop_index(batch_op.f("ix_answers_attachment_topic"))
        batch_op.drop_index(batch_op.f("ix_answers_attachment_owner_id"))

    op.drop_table("answers_attachment")
