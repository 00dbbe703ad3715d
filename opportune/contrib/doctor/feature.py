from opportune.feature import AdminPanel, Feature

doctor = Feature(
    name="doctor",
    summary="Examination of the databases.",
    admin="opportune.contrib.doctor.admin",
    admin_panels=(AdminPanel("operations", "doctor/admin_operations.html", position="buttons"),),
)
