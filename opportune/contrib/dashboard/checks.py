"""Check of `oppman.py check` for the widgets of features."""

from collections.abc import Iterator

from opportune.config.settings import Settings
from opportune.feature import Finding
from opportune.project.layout import installed_features


def check_widgets(_settings: Settings) -> Iterator[Finding]:
    """Find unknown names in widgets, which would prevent the start of the admin."""
    from opportune.admin.view_classes import view_classes  # SQLAdmin imports slowly
    from opportune.contrib.dashboard.widget_errors import find_widget_errors  # SQLAdmin imports slowly

    features = installed_features()
    views = [view for view, _ in view_classes(features)]
    yield from map(Finding, find_widget_errors(features, views))
