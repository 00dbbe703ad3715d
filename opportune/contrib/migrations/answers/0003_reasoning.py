"""answers: reasoning"""

import sqlalchemy as sa
from alembic import op

revision = "answers_0003_5d3c"
down_revision = "answers_0002_aa0f"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("answers_answer") as batch_op:
        batch_op.add_column(sa.Column("reasoning", sa.Text(), server_default=sa.text("''"), nullable=False))
        batch_op.add_column(sa.Column("reasoning_tokens", sa.Integer(), server_default=sa.text("0"), nullable=False))
    with op.batch_alter_table("answers_chunk") as batch_op:
        batch_op.add_column(sa.Column("reasoning", sa.Text(), server_default=sa.text("''"), nullable=False))


def downgrade() -> None:
    with op.batch_alter_table("answers_chunk") as batch_op:
        batch_op.drop_column("reasoning")
    with op.batch_alter_table("answers_answer") as batch_op:
        batch_op.drop_column("reasoning_tokens")
        batch_op.drop_column("reasoning")
