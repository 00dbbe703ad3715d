"""admin: audit entry channel"""

import sqlalchemy as sa
from alembic import op

revision = "admin_0002_7395"
down_revision = "admin_0001_7296"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("admin_audit_entry") as batch_op:
        batch_op.add_column(sa.Column("channel", sa.String(length=100), server_default="admin", nullable=False))


def downgrade() -> None:
    with op.batch_alter_table("admin_audit_entry") as batch_op:
        batch_op.drop_column("channel")
