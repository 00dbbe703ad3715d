"""events: initial"""

import sqlalchemy as sa
from alembic import op

revision = "events_0001_ed7e"
down_revision = None
branch_labels = ("events",)
depends_on = None


def upgrade() -> None:
    op.create_table(
        "events_event",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("title", sa.String(length=120), nullable=False),
        sa.Column("slug", sa.String(length=80), nullable=False),
        sa.Column("summary", sa.String(length=200), nullable=False),
        sa.Column("description", sa.String(length=10000), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("place", sa.String(length=200), nullable=False),
        sa.Column("link", sa.String(length=500), nullable=False),
        sa.Column("capacity", sa.Integer(), nullable=False),
        sa.Column("is_published", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events_event")),
        sa.UniqueConstraint("slug", name=op.f("uq_events_event_slug")),
    )
    with op.batch_alter_table("events_event") as batch_op:
        batch_op.create_index(batch_op.f("ix_events_event_starts_at"), ["starts_at"], unique=False)

    op.create_table(
        "events_registration",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("event_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("organisation", sa.String(length=100), nullable=False),
        sa.Column("question", sa.String(length=1000), nullable=False),
        sa.Column("photo", sa.String(length=100), nullable=False),
        sa.Column("group", sa.String(length=60), nullable=False),
        sa.Column("notes", sa.String(length=2000), nullable=False),
        sa.Column("is_present", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["event_id"],
            ["events_event.id"],
            name=op.f("fk_events_registration_event_id_events_event"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events_registration")),
        sa.UniqueConstraint("event_id", "email", name=op.f("uq_events_registration_event_id_email")),
    )
    with op.batch_alter_table("events_registration") as batch_op:
        batch_op.create_index(batch_op.f("ix_events_registration_created_at"), ["created_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_events_registration_group"), ["group"], unique=False)
        batch_op.create_index(batch_op.f("ix_events_registration_is_present"), ["is_present"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("events_registration") as batch_op:
        batch_op.drop_index(batch_op.f("ix_events_registration_is_present"))
        batch_op.drop_index(batch_op.f("ix_events_registration_group"))
        batch_op.drop_index(batch_op.f("ix_events_registration_created_at"))

    op.drop_table("events_registration")
    with op.batch_alter_table("events_event") as batch_op:
        batch_op.drop_index(batch_op.f("ix_events_event_starts_at"))

    op.drop_table("events_event")
