"""Checks of arguments before packages are installed. Uses only the standard library."""

import ast
import re
import sys
from itertools import takewhile

from opportune.cli.registry import MODULES, PROGRAM
from opportune.cli.scaffold.feature_names import missing_feature, name_problem
from opportune.cli.usage import no_such_option, wrong_usage
from opportune.project.declared_commands import source_of
from opportune.project.layout import PROJECT

COMMON_OPTIONS = ("-q", "--quiet", "-v", "--verbose")
OPTIONS = "opportune.cli.options"
"""Module of the options of several commands."""


def refuse_wrong_arguments(arguments: list[str]) -> None:
    """Exit if arguments are missing, an option does not exist, or no feature can have the name."""
    name, *words = [word for word in arguments if word not in COMMON_OPTIONS] or [""]
    source = source_of(MODULES.get(name, "")).decode()
    functions = {node.name: node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)}
    command = functions.get("command")  # groups of subcommands have none
    if not command or "ignore_unknown_options" in source:
        return
    if message := usage_error(command.args, words, source):
        print(wrong_usage(f"{PROGRAM} {name}", message), file=sys.stderr)
        sys.exit(2)
    if words and not words[0].startswith("-") and (message := feature_error(name, words[0])):
        sys.exit(message)


def usage_error(parameters: ast.arguments, words: list[str], source: str) -> str:
    """Return a message about the words after a command; empty if they may be right.

    Options are those in the text of the module and the names of parameters, because Typer is not installed yet.
    """
    required = parameters.args[: len(parameters.args) - len(parameters.defaults)]
    if len(words) < len(required):
        return f"Missing argument {required[len(words)].arg!r}"
    text = source + source_of(OPTIONS).decode()
    declared = (f"--{parameter.arg.replace('_', '-')}" for parameter in parameters.args)
    options = {*declared, *re.findall(r"--[a-z][a-z-]+", text)}
    for word in takewhile("--".__ne__, words):
        option = word.partition("=")[0]
        if option.startswith("--") and options.isdisjoint((option, option.replace("--no-", "--"))):
            return no_such_option(option, options)
    return ""


def feature_error(command: str, name: str) -> str:
    if command == "addmodel":
        return missing_feature(PROJECT, name)
    return name_problem(name) if command == "startapp" else ""
