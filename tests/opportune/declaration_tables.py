"""Tables of the dataclasses of `opportune.feature` in the guide of features. Run as a module to update them."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from opportune.project.layout import FRAMEWORK, PROJECT

GUIDE = PROJECT / "docs" / "features.md"
SECTION = re.compile(r"(?<=^## Fields of declarations\n).*?(?=^## )", re.DOTALL | re.MULTILINE)
INTRODUCTION = "\nEach class is imported from `opportune.feature`. Fields without a default are required.\n"


def render_tables(folder: Path = FRAMEWORK / "feature") -> str:
    trees = [ast.parse(file.read_text(encoding="utf-8")) for file in sorted(folder.glob("*.py"))]
    classes = [node for tree in trees for node in tree.body if isinstance(node, ast.ClassDef)]
    return INTRODUCTION + "".join(_table(node) for node in classes if node.name not in {"Feature", "Service"}) + "\n"


def _table(node: ast.ClassDef) -> str:
    rows = "".join(f"| `{name}` | {default} | {meaning} |\n" for name, default, meaning in _fields(node))
    summary = (ast.get_docstring(node) or "").partition("\n\n")[0].replace("\n", " ")
    return f"\n### `{node.name}`\n\n{summary}\n\n| Field | Default | Meaning |\n| --- | --- | --- |\n{rows}"


def _fields(node: ast.ClassDef) -> Iterator[tuple[str, str, str]]:
    for statement, following in zip(node.body, [*node.body[1:], ast.Pass()], strict=True):
        if not (isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)):
            continue
        if statement.target.id == "_":  # the fields below it are keywords
            continue
        code = ast.unparse(statement.value) if statement.value else ""
        default = "empty" if "default_factory" in code else code and f"`{code}`"
        text = _text(following) or f"`{ast.unparse(statement.annotation)}`"
        yield statement.target.id, default, text.replace("|", "\\|")


def _text(node: ast.AST) -> str:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
        return " ".join(node.value.value.split())
    return ""


def update(guide: Path = GUIDE) -> str:
    """Return the text of the guide with current tables."""
    return SECTION.sub(lambda _match: render_tables(), guide.read_text(encoding="utf-8"))


if __name__ == "__main__":
    GUIDE.write_text(update(), encoding="utf-8")
