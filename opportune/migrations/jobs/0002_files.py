"""jobs: files"""

import sqlalchemy as sa
from alembic import op

revision = "jobs_0002_63f8"
down_revision = "jobs_0001_d393"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "jobs_file",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs_file")),
        sa.UniqueConstraint("name", name=op.f("uq_jobs_file_name")),
    )
    op.create_table(
        "jobs_file_piece",
        sa.Column("file_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["file_id"], ["jobs_file.id"], name=op.f("fk_jobs_file_piece_file_id_jobs_file"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("file_id", "position", name=op.f("pk_jobs_file_piece")),
    )


def downgrade() -> None:
    op.drop_table("jobs_file_piece")
    op.drop_table("jobs_file")
