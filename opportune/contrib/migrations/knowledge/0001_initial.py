"""knowledge: initial"""

import sqlalchemy as sa
from alembic import op

revision = "knowledge_0001_bca1"
down_revision = None
branch_labels = ("knowledge",)
depends_on = ("accounts_0001_176d", "teams_0002_5c1e")


def upgrade() -> None:
    op.create_table(
        "knowledge_collection",
        sa.Column("team_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("description", sa.String(length=1000), nullable=False),
        sa.Column("is_site", sa.Boolean(), nullable=False),
        sa.Column("owner_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["owner_id"],
            ["accounts_user.id"],
            name=op.f("fk_knowledge_collection_owner_id_accounts_user"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["team_id"], ["teams_team.id"], name=op.f("fk_knowledge_collection_team_id_teams_team"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_knowledge_collection")),
    )
    with op.batch_alter_table("knowledge_collection") as batch_op:
        batch_op.create_index(batch_op.f("ix_knowledge_collection_owner_id"), ["owner_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_knowledge_collection_team_id"), ["team_id"], unique=False)

    op.create_table(
        "knowledge_document",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("collection_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.Column("url", sa.String(length=2000), nullable=False),
        sa.Column("file", sa.String(length=200), nullable=False),
        sa.Column("state", sa.String(length=64), nullable=False),
        sa.Column("problem", sa.String(length=20), nullable=False),
        sa.Column("pages_read", sa.Integer(), nullable=False),
        sa.Column("page_count", sa.Integer(), nullable=False),
        sa.Column("is_cut", sa.Boolean(), nullable=False),
        sa.Column("passage_count", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "state IN ('waiting', 'reading', 'ready', 'failed')", name=op.f("ck_knowledge_document_state")
        ),
        sa.ForeignKeyConstraint(
            ["collection_id"],
            ["knowledge_collection.id"],
            name=op.f("fk_knowledge_document_collection_id_knowledge_collection"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_knowledge_document")),
    )
    with op.batch_alter_table("knowledge_document") as batch_op:
        batch_op.create_index(batch_op.f("ix_knowledge_document_collection_id"), ["collection_id"], unique=False)

    op.create_table(
        "knowledge_passage",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("document_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("page", sa.Integer(), nullable=False),
        sa.Column("heading", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["document_id"],
            ["knowledge_document.id"],
            name=op.f("fk_knowledge_passage_document_id_knowledge_document"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_knowledge_passage")),
        sa.UniqueConstraint("document_id", "number", name=op.f("uq_knowledge_passage_document_id_number")),
    )


def downgrade() -> None:
    op.drop_table("knowledge_passage")
    with op.batch_alter_table("knowledge_document") as batch_op:
        batch_op.drop_index(batch_op.f("ix_knowledge_document_collection_id"))

    op.drop_table("knowledge_document")
    with op.batch_alter_table("knowledge_collection") as batch_op:
        batch_op.drop_index(batch_op.f("ix_knowledge_collection_team_id"))
        batch_op.drop_index(batch_op.f("ix_knowledge_collection_owner_id"))

    op.drop_table("knowledge_collection")
