"""The feature of the dashboard: charts, numbers, health and a checklist on the first page of the admin."""

from collections.abc import Iterator

from opportune.config.settings import Settings
from opportune.contrib.dashboard.checklist import has_models_of_project, is_deployed
from opportune.feature import Admin, Feature, Finding, Monitoring, SetupStep
from opportune.project.installed import installed_features


def check_widgets(_settings: Settings) -> Iterator[Finding]:
    """Find unknown names in widgets, which would prevent the start of the admin."""
    from opportune.admin.view_classes import view_classes  # SQLAdmin imports slowly
    from opportune.contrib.dashboard.widget_checks import find_widget_errors  # SQLAdmin imports slowly

    features = installed_features()
    views = [view for view, _ in view_classes(features)]
    yield from map(Finding, find_widget_errors(features, views))


dashboard = Feature(
    "dashboard",
    "Charts, numbers and lists on the first page of the admin.",
    requires=("operations",),
    admin=Admin(
        "opportune.contrib.dashboard.arranging",
        extension="opportune.contrib.dashboard.dashboard.Dashboard",
        setup_steps=(
            SetupStep("model", "Add a model of your own", has_models_of_project, "/docs/tutorial"),
            SetupStep("deploy", "Deploy the site", is_deployed, "/docs/deploy"),
        ),
    ),
    monitoring=Monitoring(checks=(check_widgets,)),
)
