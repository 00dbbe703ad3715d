"""users: display name and avatar"""

import sqlalchemy as sa
from alembic import op

revision = "users_0001_92b0"
down_revision = None
branch_labels = ("users",)
depends_on = ("accounts_0001_176d",)


def upgrade() -> None:
    op.alter_column("accounts_user", "name", new_column_name="display_name")
    with op.batch_alter_table("accounts_user") as batch_op:
        batch_op.add_column(sa.Column("avatar", sa.String(length=200), server_default="", nullable=False))

    with op.batch_alter_table("accounts_user") as batch_op:
        batch_op.alter_column(
            "avatar", existing_type=sa.String(length=200), server_default=None, existing_nullable=False
        )


def downgrade() -> None:
    with op.batch_alter_table("accounts_user") as batch_op:
        batch_op.drop_column("avatar")

    op.alter_column("accounts_user", "display_name", new_column_name="name")
