"""jobs: rename steps"""

import sqlalchemy as sa
from alembic import op

revision = "jobs_0002_e1ca"
down_revision = "jobs_0001_d393"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.rename_table("jobs_done_step", "jobs_step")


def downgrade() -> None:
    op.rename_table("jobs_step", "jobs_done_step")
