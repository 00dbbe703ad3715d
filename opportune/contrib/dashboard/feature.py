"""The feature of the dashboard: charts, numbers, health and a checklist on the first page of the admin."""

from opportune.contrib.dashboard.checklist import has_models_of_project, is_deployed
from opportune.contrib.dashboard.checks import check_widgets
from opportune.feature import Admin, Feature, Monitoring, SetupStep

dashboard = Feature(
    "dashboard",
    "Charts, numbers and lists on the first page of the admin.",
    requires=("admin",),
    admin=Admin(
        "opportune.contrib.dashboard.arrange",
        extension="opportune.contrib.dashboard.dashboard.Dashboard",
        setup_steps=(
            SetupStep("model", "Add a model of your own", has_models_of_project, "/docs/tutorial"),
            SetupStep("deploy", "Deploy the site", is_deployed, "/docs/deploy"),
        ),
    ),
    monitoring=Monitoring(checks=(check_widgets,)),
)
