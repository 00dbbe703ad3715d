"""jobs: queues and priorities"""

import sqlalchemy as sa
from alembic import op

revision = "jobs_0005_9b1e"
down_revision = "jobs_0004_6c5a"
branch_labels = None
depends_on = None

INDEXES = {
    "ix_jobs_job_claim": (["queue", "priority", "due_at", "id"], "state = 'waiting'"),
    "ix_jobs_job_due": (["due_at"], "state = 'waiting'"),
    "ix_jobs_job_lease": (["lease_until"], "state = 'running'"),
    "ix_jobs_job_scheduled": (["name"], "key LIKE 'schedule:%' AND state IN ('waiting', 'running')"),
    "ix_jobs_job_ended": (["state", "ended_at"], "ended_at IS NOT NULL"),
}


def upgrade() -> None:
    with op.batch_alter_table("jobs_job") as batch_op:
        batch_op.drop_index("ix_jobs_job_due")
        batch_op.add_column(sa.Column("queue", sa.String(length=50), server_default="default", nullable=False))
        batch_op.add_column(sa.Column("priority", sa.SmallInteger(), server_default="0", nullable=False))
    with op.batch_alter_table("jobs_job") as batch_op:
        for name, (columns, condition) in INDEXES.items():
            where = sa.text(condition)
            batch_op.create_index(name, columns, postgresql_where=where, sqlite_where=where)


def downgrade() -> None:
    with op.batch_alter_table("jobs_job") as batch_op:
        for name in INDEXES:
            batch_op.drop_index(name)
        batch_op.drop_column("priority")
        batch_op.drop_column("queue")
        batch_op.create_index("ix_jobs_job_due", ["state", "due_at"])
