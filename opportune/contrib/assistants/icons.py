"""Icons of assistants."""

from opportune.i18n import gettext_lazy as _l

DEFAULT_ICON = "ti-robot"
ICONS = {
    DEFAULT_ICON: _l("Robot"),
    "ti-book": _l("Book"),
    "ti-briefcase": _l("Briefcase"),
    "ti-bulb": _l("Idea"),
    "ti-chart-bar": _l("Chart"),
    "ti-code": _l("Code"),
    "ti-language": _l("Languages"),
    "ti-lifebuoy": _l("Help"),
    "ti-pencil": _l("Pencil"),
    "ti-school": _l("School"),
}
