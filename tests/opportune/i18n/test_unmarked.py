"""Texts that a user can read are marked for translation."""

import pytest

from opportune.contrib.translations.extraction import find_sources
from opportune.contrib.translations.unmarked import find_unmarked
from opportune.contrib.translations.unmarked_in_python import unmarked_in_python
from opportune.contrib.translations.unmarked_in_templates import unmarked_in_template

FOR_OPERATORS = (
    *("opportune/accounts/management.py", "opportune/cli/", "opportune/config/"),
    *("opportune/db/drivers/sqlite_file.py", "opportune/db/errors.py", "opportune/db/migrations/", "opportune/db/url/"),
    *("opportune/jobs/", "opportune/contrib/answers/monitoring.py"),
    *("opportune/contrib/llm/providers/errors.py", "opportune/contrib/llm/whole_responses.py"),
    "opportune/contrib/llm_vendors/vendor_model.py",
    *("opportune/contrib/mail_providers.py", "opportune/mail/smtp.py", "opportune/mail/transport.py"),
    *(
        f"opportune/contrib/{name}"
        for name in (
            *("agents", "backup", "copydb", "deploy", "doctor", "documentation/commands.py", "dumps"),
            *("evaluation/commands.py", "evaluation/run.py", "inspectdb", "llm/commands.py"),
            *("llm_embeddings/embedders.py", "llm_local/quickstart.py", "telemetry", "translations"),
        )
    ),
    *("opportune/contrib/documents/", "opportune/storage/location.py", "opportune/templates/accounts/mail/outage.txt"),
)
FOR_DEVELOPERS = (
    *("opportune/contrib/dashboard/widget_checks.py", "opportune/contrib/public_client.py"),
    *("opportune/admin/options.py", "opportune/admin/declared_permissions.py", "opportune/admin/view_classes.py"),
    *("opportune/contrib/mcp/", "opportune/contrib/request_panel/"),
    *("opportune/contrib/teams/dependencies.py", "opportune/crud/", "opportune/db/hooks/registry.py"),
    *("opportune/db/models/declaration_checks.py", "opportune/db/models/translation.py"),
    *("opportune/errors/arguments.py", "opportune/features/"),
    *("opportune/project/installed.py", "opportune/project/optional_features.py"),
    *("opportune/errors/option_names.py", "opportune/schemas/__init__.py"),
    *("opportune/project/lazy_exports.py", "opportune/server/loop_monitor.py", "opportune/templates/components.html"),
    *("opportune/templates/debug.html", "opportune/templates/documentation/", "opportune/templates/request_panel/"),
    *("opportune/templates/welcome.html", "opportune/testing/"),
    *("opportune/web/errors/error_hints.py", "opportune/web/errors/lazy_loading.py"),
    "opportune/web/errors/habits.py",
    *("opportune/web/middleware/mounted_site.py", "opportune/web/rendering/", "opportune/web/routing/router.py"),
    "opportune/web/static/icons.py",
)
FOR_MODELS = tuple(
    f"opportune/contrib/{name}"
    for name in (
        *("assistants/memory.py",),
        *("answers/engine/tool_jobs.py", "answers/engine/tool_runs.py", "answers/testing.py"),
        *("llm/completion/request.py", "llm/completion/structured.py", "llm/language_model.py"),
        *(f"llm/providers/{name}.py" for name in ("factory", "http_client", "provider")),
        *("evaluation/judge.py", "llm_local/local.py", "tools/"),
    )
)
EXCEPTIONS = (*FOR_OPERATORS, *FOR_DEVELOPERS, *FOR_MODELS, "opportune/admin/forms/field_texts.py")


def test_all_texts_are_marked_and_exceptions_are_needed() -> None:
    found = [text for source in find_sources() for text in find_unmarked(source)]
    assert [text for text in found if not text.startswith(EXCEPTIONS)] == []
    assert [prefix for prefix in EXCEPTIONS if not any(text.startswith(prefix) for text in found)] == []


@pytest.mark.parametrize(
    ("source", "texts"),
    [
        ("<p>Hello</p>", ["Hello"]),
        ("<p>\n{{ name }} is here</p>", ["{{ … }} is here"]),
        ('<img alt="A cat"><input placeholder="Name" name="Name">', ['alt="A cat"', 'placeholder="Name"']),
        ('<a aria-label="{{ _("Close") }}">{% trans %}Close it{% endtrans %}</a>', []),
        ('<p id="row-{{ id }}">{# A comment #} - {{ name }} {total}</p>', []),
        ('<code>Hello</code><script>Hello</script><b translate="no">Brand</b>', []),
        ('<img translate="no">Hello<pre>ls<br/>-l</pre>', ["Hello"]),
        ('<div translate="no"><div>A</div>Brand<b></div>Hello', ["Hello"]),
    ],
)
def test_templates(source: str, texts: list[str]) -> None:
    assert [text.text for text in unmarked_in_template(source)] == texts


@pytest.mark.parametrize(
    ("source", "texts"),
    [
        ('flash(request, f"{name} is saved.")', ["{{ … }} is saved."]),
        ('flash(request, "Saved: " + name if name else "Not saved.")', ["Saved:"]),
        ('form.refuse("%s is wrong" % name)', ["%s is wrong"]),
        ('ERROR = "This is wrong."', ["This is wrong."]),
        ('def describe():\n    """It is a text."""\n    return "This is wrong."', ["This is wrong."]),
        ('raise OperatorError("Set NAME.")\nlogger.error("This is wrong.")\n"""The name of it."""', []),
        ('flash(request, "Saved.")', []),  # `makemessages` collects it
        ('flash(request, _("%(name)s is saved.", name=f"The {name}"))', []),
        ('ERROR = _l("This is wrong.")\nNAME = "books"\nPROMPT = "Write a title."', []),
        ('LINE = "\u2028"\nERROR = "This is wrong."  # not translated', []),
        ('ERROR = """This is\nwrong."""  # not translated', []),
    ],
)
def test_python(source: str, texts: list[str]) -> None:
    assert [text.text for text in unmarked_in_python(source)] == texts
