"""admin: schedules of reports"""

import sqlalchemy as sa
from alembic import op

revision = "admin_0008_4e9a"
down_revision = "admin_0007_c2d8"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("admin_saved_view") as batch_op:
        batch_op.add_column(sa.Column("schedule", sa.String(length=10), server_default="never", nullable=False))
        batch_op.add_column(sa.Column("sent_on", sa.Date(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("admin_saved_view") as batch_op:
        batch_op.drop_column("sent_on")
        batch_op.drop_column("schedule")
