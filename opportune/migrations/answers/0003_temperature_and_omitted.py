"""answers: temperature and omitted"""

import sqlalchemy as sa
from alembic import op

revision = "answers_0003_c0de"
down_revision = "answers_0002_f5db"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("answers_answer") as batch_op:
        batch_op.add_column(sa.Column("temperature", sa.Float(), nullable=True))
        batch_op.add_column(sa.Column("omitted", sa.String(length=500), server_default="", nullable=False))

    with op.batch_alter_table("answers_answer") as batch_op:
        batch_op.alter_column(
            "omitted", existing_type=sa.String(length=500), server_default=None, existing_nullable=False
        )


def downgrade() -> None:
    with op.batch_alter_table("answers_answer") as batch_op:
        batch_op.drop_column("omitted")
        batch_op.drop_column("temperature")
