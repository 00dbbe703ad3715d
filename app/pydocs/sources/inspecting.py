"""Program that describes modules of the standard library. `python.py` runs it as a separate process.

It must not import the application.

Modules may print, hang or crash when they are imported. The arguments are a timeout per module in seconds and names of
modules. For each module, it writes one line of JSON: a list of objects, or the reason why it failed.
"""

import enum
import faulthandler
import importlib
import inspect
import json
import os
import re
import sys
import types
from collections.abc import Iterator
from typing import Any

ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
DESCRIPTORS = types.MethodDescriptorType, types.WrapperDescriptorType, types.ClassMethodDescriptorType
ROUTINES = types.FunctionType, types.BuiltinFunctionType, *DESCRIPTORS

described_objects: set[tuple[int, str]] = set()
"""Ids and names of functions and classes. Modules that also export them do not describe them again."""
described_classes: set[type] = set()


def describe_members(module: types.ModuleType, name: str) -> Iterator[dict[str, str]]:
    for label in public_names(module):
        value = getattr(module, label, None)
        is_reexported = name == "builtins" and not defines(module, value)  # such as open, which is also in io
        is_duplicate = (id(value), label) in described_objects and not is_reexported
        if isinstance(value, types.ModuleType) or is_duplicate:
            continue
        if callable(value) and not is_reexported:
            described_objects.add((id(value), label))
        path = label if name == "builtins" else f"{name}.{label}"
        if inspect.isclass(value):
            yield from describe_class(value, path, name)
        elif inspect.isroutine(value) or hasattr(value, "__wrapped__"):
            yield create_entry(path, "function", name, read_docstring(value), read_signature(value, label))
        else:
            yield create_entry(path, "data", name, describe_value(value))


def public_names(module: types.ModuleType) -> list[str]:
    listed = getattr(module, "__all__", None)
    if listed is not None:
        return sorted(listed)
    names = []
    for label, value in vars(module).items():
        is_reexported = module.__name__ == "builtins" and inspect.isroutine(value)  # such as open of io
        if not label.startswith("_") and (is_reexported or defines(module, value)):
            names.append(label)
    return sorted(names)


def defines(module: types.ModuleType, value: object) -> bool:
    """Return True if the value is defined in the module, not only imported."""
    origin = getattr(value, "__module__", None)
    return not isinstance(origin, str) or origin in (module.__name__, f"_{module.__name__}", "builtins")


def describe_class(cls: type, path: str, parent: str) -> Iterator[dict[str, str]]:
    kind = "exception" if issubclass(cls, BaseException) else "class"
    yield create_entry(path, kind, parent, read_docstring(cls), read_signature(cls, cls.__name__))
    if cls in described_classes:  # an alias, whose members are listed under the first name
        return
    described_classes.add(cls)
    for label, value in sorted(vars(cls).items()):
        if not label.startswith("_"):
            yield describe_member(label, value, cls, path)


def describe_member(label: str, value: Any, cls: type, parent: str) -> dict[str, str]:
    path = f"{parent}.{label}"
    function = value.__func__ if isinstance(value, (staticmethod, classmethod)) else value
    if isinstance(value, types.ClassMethodDescriptorType):
        function = getattr(cls, label)  # bound, because its signature does not contain the class
    if isinstance(function, ROUTINES):
        return create_entry(path, "method", parent, read_docstring(function), read_signature(function, label))
    if inspect.isdatadescriptor(value):
        return create_entry(path, "property", parent, read_docstring(value))
    doc = "" if isinstance(value, enum.Enum) else describe_value(value)
    return create_entry(path, "attribute", parent, doc)


def describe_value(value: object) -> str:
    # Only values that cannot contain paths or the environment of this machine.
    name = type(value).__name__
    return f"{name}, {value!r}" if isinstance(value, (bool, int, float)) else name


def read_docstring(value: object) -> str:
    doc = inspect.getdoc(value)
    return doc if isinstance(doc, str) else ""


def read_signature(value: Any, label: str) -> str:
    try:
        return label + ADDRESS.sub("", str(inspect.signature(value)))
    except Exception:  # noqa: BLE001 - may evaluate annotations
        first_line = read_docstring(value).partition("\n")[0]
        return first_line.partition(" -> ")[0] if first_line.startswith(f"{label}(") else ""


def create_entry(name: str, kind: str, parent: str = "", doc: str = "", signature: str = "") -> dict[str, str]:
    parent = parent or name.rpartition(".")[0]
    return {"name": name, "kind": kind, "parent": parent, "doc": doc, "signature": signature}


def describe_module(name: str) -> list[dict[str, str]] | str:
    try:
        module = importlib.import_module(name)
        return [create_entry(name, "module", doc=read_docstring(module)), *describe_members(module, name)]
    except ImportError:
        return []  # a module for another system
    except BaseException as error:  # noqa: BLE001 - continue with the next module, whatever this one raises
        return f"{type(error).__name__}: {error}"


if __name__ == "__main__":
    # Discard output of modules; only the results use the original standard output.
    out = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    for name in sys.argv[2:]:
        faulthandler.dump_traceback_later(float(sys.argv[1]), exit=True)
        result = json.dumps(describe_module(name))
        faulthandler.cancel_dump_traceback_later()
        out.write(f"{result}\n")
