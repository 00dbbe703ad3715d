"""answers: rating"""

import sqlalchemy as sa
from alembic import op

revision = "answers_0007_5179"
down_revision = "answers_0006_0859"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("answers_answer") as batch_op:
        batch_op.add_column(sa.Column("rating", sa.String(length=64), nullable=True))
        batch_op.add_column(sa.Column("rating_note", sa.String(length=500), server_default="", nullable=False))
        batch_op.create_check_constraint(batch_op.f("ck_answers_answer_rating"), "rating IN ('up', 'down')")

    with op.batch_alter_table("answers_answer") as batch_op:
        batch_op.alter_column(
            "rating_note", existing_type=sa.String(length=500), server_default=None, existing_nullable=False
        )


def downgrade() -> None:
    with op.batch_alter_table("answers_answer") as batch_op:
        batch_op.drop_constraint(batch_op.f("ck_answers_answer_rating"), type_="check")
        batch_op.drop_column("rating_note")
        batch_op.drop_column("rating")
