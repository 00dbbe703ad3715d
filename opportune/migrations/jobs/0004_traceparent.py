"""jobs: traceparent"""

import sqlalchemy as sa
from alembic import op

revision = "jobs_0004_6c5a"
down_revision = "jobs_0003_5855"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("jobs_job") as batch_op:
        batch_op.add_column(sa.Column("traceparent", sa.String(length=55), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("jobs_job") as batch_op:
        batch_op.drop_column("traceparent")
