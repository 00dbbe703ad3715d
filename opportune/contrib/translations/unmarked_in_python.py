"""Search of Python files for texts that are not marked for translation."""

import ast
import re
from collections.abc import Iterator

from opportune.contrib.translations.extraction import KEYWORDS
from opportune.contrib.translations.python_texts import sink_arguments, text_of
from opportune.contrib.translations.readable_texts import EXPRESSION, Unmarked, has_words, readable

SENTENCE = re.compile(rf"[A-Z{EXPRESSION}][^\n]* [^\n]*[.?!…]")
LOG_METHODS = {"debug", "error", "exception", "info", "warning"}
ERRORS = {"OperatorError", "RuntimeError", "TypeError", "ValueError"}
NOT_SEARCHED = {*KEYWORDS, *LOG_METHODS, *ERRORS, "Finding", "execute"}
"""Functions and errors whose texts are marked, or are for developers, such as a `Finding` or SQL."""
OPT_OUT = "# not translated"
"""Comment on lines of Python whose texts stay English. In templates, use the attribute `translate="no"`."""


def unmarked_in_python(source: str) -> Iterator[Unmarked]:
    """Yield texts in calls that show them, and sentences, that `makemessages` does not collect."""
    lines = re.split(r"\r\n|\r|\n", source)  # as Python does, unlike `splitlines`
    tree = ast.parse(source)
    for literal in sorted(_find_uncollected(tree), key=lambda literal: (literal.lineno, literal.col_offset)):
        text = _text_of_literal(literal)
        if has_words(text) and OPT_OUT not in "".join(lines[literal.lineno - 1 : literal.end_lineno]):
            yield Unmarked(literal.lineno, readable(text))


def _find_uncollected(tree: ast.Module) -> set[ast.Constant | ast.JoinedStr]:
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    arguments = {argument for call in calls for argument in sink_arguments(call)}
    collected = {argument for argument in arguments if text_of(argument)}
    shown = {literal for argument in arguments - collected for literal in _shown_literals(argument)}
    sentences = {literal for literal in _all_literals(tree) if SENTENCE.fullmatch(_text_of_literal(literal))}
    return shown | {sentence for sentence in sentences if sentence not in collected}


def _all_literals(node: ast.AST) -> Iterator[ast.Constant | ast.JoinedStr]:
    """Yield the literals below a node, except docstrings, prompts, and texts that are marked or for developers."""
    match node:
        case ast.Constant() | ast.JoinedStr():
            yield node
        case ast.Expr(value=ast.Constant()):
            return
        case ast.Assign() | ast.AnnAssign() if _is_prompt(node):
            return
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if name in NOT_SEARCHED:
            return
        case _:
            for child in ast.iter_child_nodes(node):
                yield from _all_literals(child)


def _is_prompt(statement: ast.Assign | ast.AnnAssign) -> bool:
    """Return whether a constant is an instruction for a language model, such as `TITLE_PROMPT`."""
    target = statement.targets[0] if isinstance(statement, ast.Assign) else statement.target
    return isinstance(target, ast.Name) and target.id.endswith("PROMPT")


def _shown_literals(node: ast.AST) -> Iterator[ast.Constant | ast.JoinedStr]:
    """Yield the literals with words in an expression, except in calls, which may translate them."""
    if isinstance(node, ast.Constant | ast.JoinedStr):
        if has_words(_text_of_literal(node)):
            yield node
    elif isinstance(node, ast.Call):
        if isinstance(node.func, ast.Attribute) and node.func.attr in ("format", "join"):
            yield from _shown_literals(node.func.value)
    elif isinstance(node, ast.BinOp | ast.IfExp | ast.BoolOp | ast.Dict | ast.Tuple | ast.List):
        for child in ast.iter_child_nodes(node):
            yield from _shown_literals(child)


def _text_of_literal(node: ast.Constant | ast.JoinedStr) -> str:
    """Return the text of a literal; empty for numbers and the like."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    return "".join(_text_of_literal(part) if isinstance(part, ast.Constant) else EXPRESSION for part in node.values)
