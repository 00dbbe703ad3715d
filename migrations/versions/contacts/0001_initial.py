"""contacts: initial"""

import sqlalchemy as sa
from alembic import op

revision = "contacts_0001_bb32"
down_revision = None
branch_labels = ("contacts",)
depends_on = ("teams_0002_5c1e",)


def upgrade() -> None:
    op.create_table(
        "contacts_contact",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("team_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("email", sa.String(length=320), nullable=True),
        sa.Column("phone", sa.String(length=16), nullable=False),
        sa.Column("notes", sa.String(length=2000), nullable=False),
        sa.ForeignKeyConstraint(
            ["team_id"], ["teams_team.id"], name=op.f("fk_contacts_contact_team_id_teams_team"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_contacts_contact")),
    )
    with op.batch_alter_table("contacts_contact") as batch_op:
        batch_op.create_index(batch_op.f("ix_contacts_contact_team_id"), ["team_id"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("contacts_contact") as batch_op:
        batch_op.drop_index(batch_op.f("ix_contacts_contact_team_id"))

    op.drop_table("contacts_contact")
