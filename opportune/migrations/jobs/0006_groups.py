"""jobs: groups and paused queues"""

import sqlalchemy as sa
from alembic import op
from sqlmodel import UTCDateTime

revision = "jobs_0006_41d7"
down_revision = "jobs_0005_9b1e"
branch_labels = None
depends_on = None

INDEXES = {
    "ix_jobs_job_held": (["group_name", "due_at", "id"], "state = 'held'"),
    "ix_jobs_job_held_due": (["due_at"], "state = 'held'"),
    "ix_jobs_job_group": (["group_name"], "group_name IS NOT NULL AND state IN ('waiting', 'running')"),
}


def upgrade() -> None:
    with op.batch_alter_table("jobs_job") as batch_op:
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
        batch_op.drop_column("group_limit")
        batch_op.drop_column("group_name")
