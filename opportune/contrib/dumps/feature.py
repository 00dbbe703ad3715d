from opportune.feature import Feature

dumps = Feature(
    "dumps",
    "Rows as JSON files: dump them, load them, or delete all.",
    commands={name: f"opportune.contrib.dumps.commands.{name}" for name in ("dumpdata", "loaddata", "flush")},
)
