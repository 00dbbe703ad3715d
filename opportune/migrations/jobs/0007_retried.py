"""jobs: index of retried jobs"""

import sqlalchemy as sa
from alembic import op

revision = "jobs_0007_c35e"
down_revision = "jobs_0006_41d7"
branch_labels = None
depends_on = None


def upgrade() -> None:
    where = sa.text("state = 'waiting' AND attempt > 0")
    with op.batch_alter_table("jobs_job") as batch_op:
        batch_op.create_index(
            "ix_jobs_job_retried", ["name", "created_at"], postgresql_where=where, sqlite_where=where
        )


def downgrade() -> None:
    with op.batch_alter_table("jobs_job") as batch_op:
        batch_op.drop_index("ix_jobs_job_retried")
