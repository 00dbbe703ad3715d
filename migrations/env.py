"""Environment of Alembic's own command (`alembic current`, `alembic upgrade heads`). Ours need no environment."""

from opportune.db.migrations.alembic_environment import run

run()
