from opportune.feature import Admin, Feature

operations = Feature(
    "operations",
    "Pages of the admin instead of shell commands: status, jobs, settings, cache and migrations.",
    requires=("admin",),
    admin=Admin("opportune.contrib.operations.view"),
)
