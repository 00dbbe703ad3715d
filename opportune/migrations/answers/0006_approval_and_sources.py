"""answers: approval and sources"""

import sqlalchemy as sa
from alembic import op

revision = "answers_0006_0859"
down_revision = "answers_0005_d0ea"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("answers_answer") as batch_op:
        batch_op.add_column(sa.Column("sources", sa.JSON(none_as_null=True), server_default="[]", nullable=False))
        batch_op.drop_constraint(batch_op.f("ck_answers_answer_status"), type_="check")
        batch_op.create_check_constraint(
            batch_op.f("ck_answers_answer_status"),
            "status IN ('streaming', 'waiting', 'done', 'truncated', 'stopped', 'interrupted', 'failed')",
        )

    with op.batch_alter_table("answers_answer") as batch_op:
        batch_op.alter_column(
            "sources", existing_type=sa.JSON(none_as_null=True), server_default=None, existing_nullable=False
        )
    _replace_index("status IN ('streaming', 'waiting') AND topic <> ''")


def _replace_index(where: str) -> None:
    op.drop_index("uq_answers_answer_running", "answers_answer")
    op.create_index(
        *("uq_answers_answer_running", "answers_answer", ["owner_id", "topic"]),
        unique=True,
        sqlite_where=sa.text(where),
        postgresql_where=sa.text(where),
    )


def downgrade() -> None:
    with op.batch_alter_table("answers_answer") as batch_op:
        batch_op.drop_constraint(batch_op.f("ck_answers_answer_status"), type_="check")
        batch_op.drop_column("sources")

    _replace_index("status = 'streaming' AND topic <> ''")
    op.execute("UPDATE answers_answer SET status = 'stopped' WHERE status = 'waiting'")
    with op.batch_alter_table("answers_answer") as batch_op:
        batch_op.create_check_constraint(
            batch_op.f("ck_answers_answer_status"),
            "status IN ('streaming', 'done', 'truncated', 'stopped', 'interrupted', 'failed')",
        )
