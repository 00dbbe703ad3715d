"""answers: tools"""

import sqlalchemy as sa
from alembic import op

revision = "answers_0002_f5db"
down_revision = "answers_0001_679b"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("answers_answer") as batch_op:
        batch_op.add_column(sa.Column("tool_scopes", sa.Text(), server_default="", nullable=False))
        batch_op.add_column(sa.Column("tool_runs", sa.JSON(none_as_null=True), server_default="[]", nullable=False))

    with op.batch_alter_table("answers_answer") as batch_op:
        batch_op.alter_column("tool_scopes", existing_type=sa.Text(), server_default=None, existing_nullable=False)
        batch_op.alter_column(
            "tool_runs", existing_type=sa.JSON(none_as_null=True), server_default=None, existing_nullable=False
        )


def downgrade() -> None:
    with op.batch_alter_table("answers_answer") as batch_op:
        batch_op.drop_column("tool_runs")
        batch_op.drop_column("tool_scopes")
