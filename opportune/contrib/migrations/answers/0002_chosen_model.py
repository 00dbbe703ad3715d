"""answers: chosen model"""

import sqlalchemy as sa
from alembic import op

revision = "answers_0002_aa0f"
down_revision = "answers_0001_679b"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "answers_chosen_model",
        sa.Column("key", sa.String(length=20), nullable=False),
        sa.Column("provider", sa.String(length=40), nullable=False),
        sa.Column("base_url", sa.Text(), nullable=False),
        sa.Column("model", sa.String(length=100), nullable=False),
        sa.Column("sealed_key", sa.Text(), nullable=False),
        sa.Column("chosen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_answers_chosen_model")),
    )


def downgrade() -> None:
    op.drop_table("answers_chosen_model")
