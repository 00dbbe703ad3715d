from opportune.feature import Feature

dumps = Feature(
    "dumps",
    "Rows as JSON files: dump them, load them, or delete all.",
    commands={
        "dumpdata": "opportune.contrib.dumps.commands.dumpdata",
        "loaddata": "opportune.contrib.dumps.commands.loaddata",
        "flush": "opportune.contrib.dumps.commands.flush",
    },
)
