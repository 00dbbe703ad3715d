"""teams: personal rows"""

import sqlalchemy as sa
from alembic import op

revision = "teams_0002_5c1e"
down_revision = "teams_0001_f1a3"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("teams_member") as batch_op:
        batch_op.alter_column("switched_at", existing_type=sa.DateTime(timezone=True), nullable=True)


def downgrade() -> None:
    op.execute("UPDATE teams_member SET switched_at = joined_at WHERE switched_at IS NULL")
    with op.batch_alter_table("teams_member") as batch_op:
        batch_op.alter_column("switched_at", existing_type=sa.DateTime(timezone=True), nullable=False)
