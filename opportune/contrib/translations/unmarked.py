"""Search for texts that a user can read and that are not marked for translation."""

import ast
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import NamedTuple

from jinja2 import Environment, TemplateSyntaxError

from opportune.contrib.documents.html import VOID
from opportune.contrib.translations.extraction import KEYWORDS, Source, sink_arguments, text_of
from opportune.contrib.translations.labels import site_labels
from opportune.errors import OperatorError
from opportune.project.layout import display_path

ATTRIBUTES = {"alt", "aria-description", "aria-label", "aria-roledescription", "label", "placeholder", "title"}
"""HTML attributes that users can read."""
UNTRANSLATED_TAGS = {"code", "kbd", "pre", "samp", "script", "style", "svg"}
EXPRESSION = "\x01"
"""Character in the place of a template expression."""
IDENTIFIER = rf"[\w-]*-{EXPRESSION}|{EXPRESSION}-[\w-]*"
"""Words that belong to an expression, such as `filter-{{ name }}`."""
BUILT_ATTRIBUTE = r'[\w-]+="[^"]*"'
"""Attribute of HTML that a block builds."""
NOT_READABLE = re.compile(rf"{IDENTIFIER}|^Subject: |{BUILT_ATTRIBUTE}")
WORD = re.compile(r"[^\W\d_]{2}")
SENTENCE = re.compile(rf"[A-Z{EXPRESSION}][^\n]* [^\n]*[.?!…]")
LOG_METHODS = {"debug", "error", "exception", "info", "warning"}
ERRORS = {"OperatorError", "RuntimeError", "TypeError", "ValueError"}
NOT_SEARCHED = {*KEYWORDS, *LOG_METHODS, *ERRORS, "Finding", "execute"}
"""Functions and errors whose texts are marked, or are for developers."""
LEXER = Environment(autoescape=True)
OPT_OUT = "# not translated"
"""Comment on lines of Python whose texts stay English. In templates, use the attribute `translate="no"`."""


class Unmarked(NamedTuple):
    line: int
    text: str


def unmarked_in_template(source: str) -> Iterator[Unmarked]:
    """Yield the texts and attributes of a template outside of `{% trans %}` and `_()`."""
    parser = _TextParser()
    parser.feed(_without_code(source))
    parser.close()
    yield from parser.found


def _without_code(source: str) -> str:
    """Return the HTML of a template with its lines, without marked texts and code."""
    html: list[str] = []
    names: list[str] = []
    is_marked = False
    for _line, token, value in LEXER.lex(source):
        line_breaks = "\n" * value.count("\n")
        if token == "data":
            html.append(line_breaks if is_marked else value)
            continue
        if token == "block_begin":
            names = []
        elif token == "name":
            names.append(value)
        elif token == "block_end" and names[:1] in (["trans"], ["endtrans"]):
            is_marked = names[0] == "trans"
        html.append(f"{line_breaks}{EXPRESSION}" if token == "variable_end" else line_breaks)
    return "".join(html)


class _TextParser(HTMLParser):
    """Collects texts and attributes, except those of elements whose text stays English."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Unmarked] = []
        self.untranslated: list[str] = []
        """Open elements, from the outermost whose text stays English."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ATTRIBUTES and has_words(value or ""):
                self.found.append(Unmarked(self.getpos()[0], f'{name}="{_readable(value or "")}"'))
        is_untranslated = self.untranslated or tag in UNTRANSLATED_TAGS or ("translate", "no") in attrs
        if is_untranslated and tag not in VOID:
            self.untranslated.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Close the element and unclosed ones within it. The end tag of an outer element closes all."""
        if tag not in VOID:
            while self.untranslated and self.untranslated.pop() != tag:
                pass

    def handle_data(self, data: str) -> None:
        if not self.untranslated and has_words(data):
            leading = data[: len(data) - len(data.lstrip())]
            self.found.append(Unmarked(self.getpos()[0] + leading.count("\n"), _readable(data)))


def has_words(text: str) -> bool:
    return bool(WORD.search(NOT_READABLE.sub("", text)))


def _readable(text: str) -> str:
    return " ".join(text.replace(EXPRESSION, "{{ … }}").split())


def unmarked_in_python(source: str) -> Iterator[Unmarked]:
    """Yield texts in calls that show them, and sentences, that `makemessages` does not collect."""
    lines = source.splitlines()
    tree = ast.parse(source)
    for literal in sorted(_find_uncollected(tree), key=lambda literal: (literal.lineno, literal.col_offset)):
        if has_words(_text_of_literal(literal)) and OPT_OUT not in lines[literal.lineno - 1]:
            yield Unmarked(literal.lineno, _readable(_text_of_literal(literal)))


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


SEARCHES = {".html": unmarked_in_template, ".py": unmarked_in_python, ".txt": unmarked_in_template}


def find_unmarked(source: Source) -> Iterator[str]:
    """Yield the unmarked texts of a source, each with its file and line. Demo data stays in its language."""
    labels = {label for texts in site_labels().values() for label in texts}
    for path in source.files():
        search = SEARCHES.get(path.suffix)
        is_text_for_robots = path.suffix == ".txt" and "mail" not in path.parts
        if not search or path.name == "demo.py" or is_text_for_robots:
            continue
        try:
            unmarked = [*search(path.read_text(encoding="utf-8"))]
        except (SyntaxError, UnicodeDecodeError, TemplateSyntaxError) as error:
            raise OperatorError(f"{display_path(path)} cannot be read: {error}.") from error
        yield from (f"{display_path(path)}:{line}: {text}" for line, text in unmarked if text not in labels)
