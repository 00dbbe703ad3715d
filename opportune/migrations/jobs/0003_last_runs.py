"""jobs: last runs"""

import sqlalchemy as sa
from alembic import op

revision = "jobs_0003_5855"
down_revision = "jobs_0002_63f8"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "jobs_last_run",
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("succeeded_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("note", sa.String(length=200), nullable=False),
        sa.Column("failed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", sa.String(length=500), nullable=False),
        sa.Column("reported_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_jobs_last_run")),
    )


def downgrade() -> None:
    op.drop_table("jobs_last_run")
