"""Describes modules of the standard library: a program of its own, run by `python.py`, that imports nothing of ours.

What it imports may print, hang, or take the process with it. Its arguments are the seconds that each module may take,
and names of modules; it answers each with one line of JSON: a list of objects, or the reason why there is none.
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
        borrowed = name == "builtins" and not is_own(module, value)  # open, which io shows as well
        if isinstance(value, types.ModuleType) or (not borrowed and is_known(value, label)):
            continue
        full = label if name == "builtins" else f"{name}.{label}"
        if inspect.isclass(value):
            yield from describe_class(value, full, name)
        elif inspect.isroutine(value) or hasattr(value, "__wrapped__"):
            yield entry(full, "function", name, documentation(value), signature_of(value, label))
        else:
            yield entry(full, "data", name, described(value))


def public(module: types.ModuleType) -> list[str]:
    listed = getattr(module, "__all__", None)
    if listed is not None:
        return sorted(listed)
    shown = ((label, value) for label, value in vars(module).items() if label[:1] != "_")
    is_builtin = module.__name__ == "builtins"  # which shows open of io
    return sorted(label for label, value in shown if is_own(module, value) or (is_builtin and inspect.isroutine(value)))


def is_own(module: types.ModuleType, value: object) -> bool:
    """Whether the module made it: what it only imports belongs elsewhere."""
    home = getattr(value, "__module__", None)
    return not isinstance(home, str) or home in (module.__name__, f"_{module.__name__}", "builtins")


def is_known(value: object, label: str) -> bool:
    """Whether a package has shown it already, which takes it from one of its modules."""
    if not callable(value):
        return False
    before = len(seen)
    seen.add((id(value), label))
    return len(seen) == before


def describe_class(cls: type, full: str, parent: str) -> Iterator[dict[str, str]]:
    kind = "exception" if issubclass(cls, BaseException) else "class"
    yield entry(full, kind, parent, documentation(cls), signature_of(cls, cls.__name__))
    if cls not in classes:  # and not another name of one whose members are listed
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
    return entry(full, "attribute", parent, "" if isinstance(value, enum.Enum) else described(value))


def described(value: object) -> str:
    # Other values may tell of this machine: its environment, its folders.
    kind = type(value).__name__
    return f"{kind}, {value!r}" if isinstance(value, (bool, int, float)) else kind


def documentation(value: object) -> str:
    doc = inspect.getdoc(value)
    return doc if isinstance(doc, str) else ""


def signature_of(value: Any, label: str) -> str:
    try:
        return label + ADDRESS.sub("", str(inspect.signature(value)))
    except Exception:  # noqa: BLE001 - it may evaluate what the signature says
        first = documentation(value).partition("\n")[0]
        return first.partition(" -> ")[0] if first.startswith(f"{label}(") else ""


def entry(name: str, kind: str, parent: str = "", doc: str = "", signature: str = "") -> dict[str, str]:
    parent = parent or name.rpartition(".")[0]
    return {"name": name, "kind": kind, "parent": parent, "doc": doc, "signature": signature}


def answer(name: str) -> list[dict[str, str]] | str:
    try:
        module = importlib.import_module(name)
        return [entry(name, "module", doc=documentation(module)), *members(module, name)]
    except ImportError:
        return []  # it is for another system
    except BaseException as error:  # noqa: BLE001 - whatever a module does when it is imported, the others follow
        return f"{type(error).__name__}: {error}"


if __name__ == "__main__":
    # What modules print goes nowhere; the answers have the real output to themselves.
    out = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    for name in sys.argv[2:]:
        faulthandler.dump_traceback_later(float(sys.argv[1]), exit=True)
        said = json.dumps(answer(name))
        faulthandler.cancel_dump_traceback_later()
        out.write(f"{said}\n")
