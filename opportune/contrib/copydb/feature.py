from opportune.feature import Feature

copydb = Feature(
    "copydb",
    "Copies of all rows to another database, such as from SQLite to PostgreSQL.",
    commands={"copydb": "opportune.contrib.copydb.commands"},
)
