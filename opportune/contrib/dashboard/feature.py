"""The feature of the dashboard: charts, numbers, health and a checklist on the first page of the admin."""

from opportune.contrib.dashboard.checks import check_widgets
from opportune.contrib.dashboard.setup_steps import has_models_of_project, is_deployed
from opportune.feature import Feature, SetupStep

dashboard = Feature(
    name="dashboard",
    summary="Charts, numbers and lists on the first page of the admin.",
    requires=("admin",),
    admin="opportune.contrib.dashboard.arrange",
    admin_extension="opportune.contrib.dashboard.dashboard.Dashboard",
    setup_steps=(
        SetupStep("model", "Add a model of your own", has_models_of_project, "/docs/tutorial"),
        SetupStep("deploy", "Deploy the site", is_deployed, "/docs/deploy"),
    ),
    checks=(check_widgets,),
)
