"""teams: initial"""

import sqlalchemy as sa
from alembic import op

revision = "teams_0001_f1a3"
down_revision = None
branch_labels = ("teams",)
depends_on = ("accounts_0001_176d",)


def upgrade() -> None:
    op.create_table(
        "teams_team",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_teams_team")),
    )
    op.create_table(
        "teams_invitation",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("team_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("email", sa.String(length=320), nullable=False),
        sa.Column("role", sa.String(length=64), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("invited_by_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("role IN ('owner', 'admin', 'member')", name=op.f("ck_teams_invitation_role")),
        sa.ForeignKeyConstraint(
            ["invited_by_id"],
            ["accounts_user.id"],
            name=op.f("fk_teams_invitation_invited_by_id_accounts_user"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["team_id"], ["teams_team.id"], name=op.f("fk_teams_invitation_team_id_teams_team"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_teams_invitation")),
        sa.UniqueConstraint("team_id", "email", name=op.f("uq_teams_invitation_team_id_email")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_teams_invitation_token_hash")),
    )
    with op.batch_alter_table("teams_invitation") as batch_op:
        batch_op.create_index(batch_op.f("ix_teams_invitation_email"), ["email"], unique=False)
        batch_op.create_index(batch_op.f("ix_teams_invitation_expires_at"), ["expires_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_teams_invitation_invited_by_id"), ["invited_by_id"], unique=False)

    op.create_table(
        "teams_member",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("team_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("user_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("role", sa.String(length=64), nullable=False),
        sa.Column("joined_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("switched_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("role IN ('owner', 'admin', 'member')", name=op.f("ck_teams_member_role")),
        sa.ForeignKeyConstraint(
            ["team_id"], ["teams_team.id"], name=op.f("fk_teams_member_team_id_teams_team"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["accounts_user.id"], name=op.f("fk_teams_member_user_id_accounts_user"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_teams_member")),
        sa.UniqueConstraint("user_id", "team_id", name=op.f("uq_teams_member_user_id_team_id")),
    )
    with op.batch_alter_table("teams_member") as batch_op:
        batch_op.create_index(batch_op.f("ix_teams_member_team_id"), ["team_id"], unique=False)


def downgrade() -> None:
    for table in ("member", "invitation", "team"):
        op.drop_table(f"teams_{table}")
