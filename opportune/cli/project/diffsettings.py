"""List the settings that differ from their defaults.

Secrets are not shown.
"""

from opportune.admin.operations.settings_table import list_displayed_settings
from opportune.cli.options import AsJson
from opportune.cli.output import print_json, print_table, say
from opportune.config.settings import get_settings
from opportune.project.layout import installed_features


def command(as_json: AsJson = False) -> None:
    rows = [row for row in list_displayed_settings(get_settings(), installed_features()) if row.differs]
    if as_json:
        print_json([{"name": row.name, "value": row.value, "default": row.default} for row in rows])
    elif rows:
        print_table(("NAME", "VALUE", "DEFAULT"), ((row.name, row.value, row.default) for row in rows))
    else:
        say("All settings have their default values.")
