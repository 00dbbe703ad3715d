"""answers: answer tool names"""

import sqlalchemy as sa
from alembic import op

revision = "answers_0004_d8fd"
down_revision = "answers_0003_5d3c"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("answers_answer") as batch_op:
        batch_op.add_column(
            sa.Column("tool_names", sa.JSON(none_as_null=True), server_default=sa.text("'[\"*\"]'"), nullable=False)
        )


def downgrade() -> None:
    with op.batch_alter_table("answers_answer") as batch_op:
        batch_op.drop_column("tool_names")
