"""Words of templates of Django and Starlette, and what has the same effect here."""

import re

WORDS = {
    "unknown tag '(load|csrf_token)'|'(csrf_token|csrf_input)' is undefined": "nothing",
    "unknown tag 'empty'": "{% else %}",
    "unknown tag 'comment'": "{# … #}",
    "unknown tag 'verbatim'": "{% raw %}",
    "unknown tag 'static'": '{{ asset("own.css") }}',
    "unknown tag 'blocktrans(late)?'": "{% trans %}",
    "unknown tag 'translate'|control structures in translatable": '{{ _("…") }}',
    "unknown tag 'url'|'url_for' is undefined": '{{ url("/books") }}',
    "expected token 'end of print statement', got ':'": '{{ title | default("-") }}',
    "'forloop' is undefined": "loop.index",
    "attribute 'is_(authenticated|anonymous)'": "{% if user %}",
}
"""Replacements by a regular expression of Jinja's message."""


def replacement_for(message: str) -> str:
    """Return what to write instead; empty for messages about other errors."""
    return next((new for pattern, new in WORDS.items() if re.search(pattern, message)), "")
