"""Program that describes modules of the standard library. It is run by `python.py` and must not import the application.

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

seen: set[tuple[int, str]] = set()
classes: set[type] = set()


def members(module: types.ModuleType, name: str) -> Iterator[dict[str, str]]:
    for label in public(module):
        value = getattr(module, label, None)
        borrowed = name == "builtins" and not defines(module, value)  # such as open, which is also in io
        if isinstance(value, types.ModuleType) or (not borrowed and is_duplicate(value, label)):
            continue
        full = label if name == "builtins" else f"{name}.{label}"
        if inspect.isclass(value):
            yield from describe_class(value, full, name)
        elif inspect.isroutine(value) or hasattr(value, "__wrapped__"):
            yield entry(full, "function", name, documentation(value), signature_of(value, label))
        else:
            yield entry(full, "data", name, type_and_value(value))


def public(module: types.ModuleType) -> list[str]:
    listed = getattr(module, "__all__", None)
    if listed is not None:
        return sorted(listed)
    candidates = ((label, value) for label, value in vars(module).items() if label[:1] != "_")
    has_borrowed = module.__name__ == "builtins"  # such as open of io
    return sorted(
        label for label, value in candidates if defines(module, value) or (has_borrowed and inspect.isroutine(value))
    )


def defines(module: types.ModuleType, value: object) -> bool:
    """Return True if the value is defined in the module, not only imported."""
    home = getattr(value, "__module__", None)
    return not isinstance(home, str) or home in (module.__name__, f"_{module.__name__}", "builtins")


def is_duplicate(value: object, label: str) -> bool:
    """Return True if a package that re-exports the value has already been described."""
    if not callable(value):
        return False
    before = len(seen)
    seen.add((id(value), label))
    return len(seen) == before


def describe_class(cls: type, full: str, parent: str) -> Iterator[dict[str, str]]:
    kind = "exception" if issubclass(cls, BaseException) else "class"
    yield entry(full, kind, parent, documentation(cls), signature_of(cls, cls.__name__))
    if cls not in classes:  # list the members only once for aliases
        classes.add(cls)
        yield from (member(label, value, cls, full) for label, value in sorted(vars(cls).items()) if label[0] != "_")


def member(label: str, value: Any, cls: type, parent: str) -> dict[str, str]:
    full = f"{parent}.{label}"
    inner = value.__func__ if isinstance(value, (staticmethod, classmethod)) else value
    if isinstance(inner, ROUTINES):
        bound = inspect.getattr_static(cls, label) if isinstance(value, types.ClassMethodDescriptorType) else inner
        return entry(full, "method", parent, documentation(inner), signature_of(bound, label))
    if inspect.isdatadescriptor(value):
        return entry(full, "property", parent, documentation(value))
    return entry(full, "attribute", parent, "" if isinstance(value, enum.Enum) else type_and_value(value))


def type_and_value(value: object) -> str:
    # Only values that cannot contain paths or the environment of this machine.
    name = type(value).__name__
    return f"{name}, {value!r}" if isinstance(value, (bool, int, float)) else name


def documentation(value: object) -> str:
    doc = inspect.getdoc(value)
    return doc if isinstance(doc, str) else ""


def signature_of(value: Any, label: str) -> str:
    try:
        return label + ADDRESS.sub("", str(inspect.signature(value)))
    except Exception:  # noqa: BLE001 - may evaluate annotations
        first = documentation(value).partition("\n")[0]
        return first.partition(" -> ")[0] if first.startswith(f"{label}(") else ""


def entry(name: str, kind: str, parent: str = "", doc: str = "", signature: str = "") -> dict[str, str]:
    parent = parent or name.rpartition(".")[0]
    return {"name": name, "kind": kind, "parent": parent, "doc": doc, "signature": signature}


def describe_module(name: str) -> list[dict[str, str]] | str:
    try:
        module = importlib.import_module(name)
        return [entry(name, "module", doc=documentation(module)), *members(module, name)]
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
