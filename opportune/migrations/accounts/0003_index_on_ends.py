"""accounts: index on ends"""

from alembic import op

revision = "accounts_0003_5d89"
down_revision = "accounts_0002_6a33"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("accounts_session") as batch_op:
        batch_op.create_index(batch_op.f("ix_accounts_session_expires_at"), ["expires_at"], unique=False)

    with op.batch_alter_table("accounts_token") as batch_op:
        batch_op.create_index(batch_op.f("ix_accounts_token_expires_at"), ["expires_at"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("accounts_token") as batch_op:
        batch_op.drop_index(batch_op.f("ix_accounts_token_expires_at"))

    with op.batch_alter_table("accounts_session") as batch_op:
        batch_op.drop_index(batch_op.f("ix_accounts_session_expires_at"))
