"""Migrations by feature: each has its own folder, Alembic branch and row in the version table.

`migrate` reads the files (`migration_file`, `graph`), plans the steps from the version table (`history`, `plans`), and
runs each in a transaction (`runner`) under a lock (`locks`). `adoption` compares tables that already exist. Migrations
call `batches` and `conversion`. `duplicates` and `failures` say why a migration failed.

`makemigrations` compares the models with the tables (`autogenerate`, `comparisons`, `ownership`) and asks about renames
(`questions`). Then it adds steps for existing rows (`enum_members`, `type_conversions`, `backfill`) and for types of
PostgreSQL (`postgresql_types`), and writes the file (`naming`, `new_migration`, `rendering`, with `code_operations`
and `type_code`). `merging` and `squashing` combine files.

`recording` runs a migration without a database: for plans, warnings (`safety`), merges and owners of tables. `sqlite`,
`reflection` and `create_statements` copy and compare tables of SQLite without losses, `postgresql_indexes` compares
indexes. `alembic_environment` is for Alembic's own command.
"""
