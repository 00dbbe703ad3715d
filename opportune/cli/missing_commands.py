"""Commands that exist although no installed feature lists them."""

from collections.abc import Iterator

from opportune.features import features_left_out
from opportune.project.layout import display_path, feature_folder, feature_module, installed_features
from opportune.project.optional_features import how_to_list


def find_missing_command(name: str) -> str:
    """Return what to add for the command, in one line; empty if there is none of this name."""
    installed = installed_features()
    if feature := next((feature for feature in features_left_out(installed) if name in feature.commands), None):
        return f"The command {name} belongs to the feature {feature.name}. {how_to_list(feature.name)}"
    return next((message for feature, message in find_unlisted_commands() if feature == name), "")


def find_unlisted_commands() -> Iterator[tuple[str, str]]:
    """Yield each installed feature with a `commands.py` that it does not list, and what to add."""
    for feature in installed_features():
        folder, module = feature_folder(feature.name), f"{feature_module(feature.name)}.commands"
        if (folder / "commands.py").exists() and module not in feature.commands.values():
            yield (
                feature.name,
                f"{display_path(folder / 'commands.py')} has no effect. "
                f'Add commands={{"{feature.name}": "{module}"}} to {display_path(folder / "feature.py")}.',
            )
