"""answers: limits of answers"""

import sqlalchemy as sa
from alembic import op

revision = "answers_0005_0f7b"
down_revision = "answers_0004_d8fd"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("answers_answer") as batch_op:
        batch_op.add_column(
            sa.Column("limits", sa.JSON(none_as_null=True), server_default=sa.text("'{}'"), nullable=False)
        )
        batch_op.add_column(sa.Column("seconds", sa.Float(), server_default=sa.text("0"), nullable=False))


def downgrade() -> None:
    with op.batch_alter_table("answers_answer") as batch_op:
        batch_op.drop_column("seconds")
        batch_op.drop_column("limits")
