from opportune.feature import Admin, AdminPanel, Feature

doctor = Feature(
    "doctor",
    "Examination of the databases.",
    commands={"doctor": "opportune.contrib.doctor.commands"},
    admin=Admin(
        "opportune.contrib.doctor.admin",
        panels=(AdminPanel("operations", "doctor/admin_operations.html", position="buttons"),),
    ),
)
