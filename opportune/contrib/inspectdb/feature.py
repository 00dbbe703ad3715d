from opportune.feature import Feature

inspectdb = Feature(
    "inspectdb",
    "Models for the tables of an existing database.",
    commands={"inspectdb": "opportune.contrib.inspectdb.commands"},
)
