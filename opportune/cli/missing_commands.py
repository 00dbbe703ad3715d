"""Commands that exist although no installed feature lists them."""

from collections.abc import Iterator

from opportune.project.declared_commands import commands_of_optional
from opportune.project.layout import display_path, feature_folder, feature_module, installed_features
from opportune.project.optional_features import OPTIONAL_FEATURES, how_to_list


def find_missing_command(name: str) -> str:
    """Return what to add for the command, in one line; empty if there is none of this name."""
    if feature := next((feature for feature in OPTIONAL_FEATURES if name in commands_of_optional(feature)), ""):
        return f"The command {name} belongs to the feature {feature}. {how_to_list(feature)}"
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
