"""jobs: queues, priorities and groups"""

import sqlalchemy as sa
from alembic import op
from sqlmodel import UTCDateTime

revision = "jobs_0007_c35e"
down_revision = "jobs_0004_6c5a"
branch_labels = None
replaces = ("jobs_0005_9b1e", "jobs_0006_41d7")
depends_on = None

INDEXES = {
    "ix_jobs_job_claim": (["queue", "priority", "due_at", "id"], "state = 'waiting'"),
    "ix_jobs_job_due": (["due_at"], "state = 'waiting'"),
    "ix_jobs_job_lease": (["lease_until"], "state = 'running'"),
    "ix_jobs_job_scheduled": (["name"], "key LIKE 'schedule:%' AND state IN ('waiting', 'running')"),
    "ix_jobs_job_ended": (["state", "ended_at"], "ended_at IS NOT NULL"),
    "ix_jobs_job_held": (["group_name", "due_at", "id"], "state = 'held'"),
    "ix_jobs_job_held_due": (["due_at"], "state = 'held'"),
    "ix_jobs_job_group": (["group_name"], "group_name IS NOT NULL AND state IN ('waiting', 'running')"),
    "ix_jobs_job_retried": (["name", "created_at"], "state = 'waiting' AND attempt > 0"),
}


def upgrade() -> None:
    with op.batch_alter_table("jobs_job") as batch_op:
        batch_op.drop_index("ix_jobs_job_due")
        batch_op.add_column(sa.Column("queue", sa.String(length=50), server_default="default", nullable=False))
        batch_op.add_column(sa.Column("priority", sa.SmallInteger(), server_default="0", nullable=False))
        batch_op.add_column(sa.Column("group_name", sa.String(length=200), nullable=True))
        batch_op.add_column(sa.Column("group_limit", sa.SmallInteger(), server_default="1", nullable=False))
    with op.batch_alter_table("jobs_job") as batch_op:
        for name, (columns, condition) in INDEXES.items():
            where = sa.text(condition)
            batch_op.create_index(name, columns, postgresql_where=where, sqlite_where=where)
    op.create_table(
        "jobs_paused_queue",
        sa.Column("name", sa.String(length=50), primary_key=True),
        sa.Column("paused_at", UTCDateTime(), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("jobs_paused_queue")
    with op.batch_alter_table("jobs_job") as batch_op:
        for name in INDEXES:
            batch_op.drop_index(name)
        for column in ("group_limit", "group_name", "priority", "queue"):
            batch_op.drop_column(column)
        batch_op.create_index("ix_jobs_job_due", ["state", "due_at"])
