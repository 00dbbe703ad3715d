"""Names until 0.2 and their replacements, for error messages and for `oppman.py upgrade`."""

import re
from collections.abc import Mapping

ACTIONS = {"details": "get", "edit": "update"}
"""Actions in permissions. SQLAdmin still has the old names."""
CRUD = {
    "owner": "owner_column",
    "read_access": "read_permission",
    "write_access": "write_permission",
    "grants": "permissions",
    "find": "list",
    "rows": "list_values",
    "row": "get_values",
    "written": "get_written",
    "add": "create",
    "change": "update",
}
CRUD_OF_DJANGO = {
    "fields": "read_fields",
    "filterset_fields": "filters",
    "get_queryset": "query",
    "lookup_field": "lookup",
    "ordering_fields": "sort",
    "perform_create": "create",
    "perform_destroy": "delete",
    "perform_update": "update",
    "permission_classes": "read_permission",
    "queryset": "query",
    "search_fields": "search",
    "serializer_class": "read_schema",
}
"""Options of the REST framework and of generic views, with those of `Crud`."""
CRUD_API = {"find": "list", "add": "create", "read": "get"}
CRUD_PAGES = {
    "index": "list",
    "detail": "get",
    "new": "create_form",
    "edit": "update_form",
    "confirm_delete": "delete_form",
    "detail_context": "get_context",
    "address": "url_of",
    "wanted": "list_query",
}
PAGES_WITHOUT = {"index": "list", "detail": "get", "new": "create", "edit": "update", "confirm_delete": "delete_form"}
"""Routes that `without` of `CrudPages` leaves out."""
CRUD_TEMPLATES = {"detail": "get", "confirm_delete": "delete"}
"""Ends of template names, such as `books/book_detail.html`."""
CRUD_TEMPLATE = re.compile(rf"(.*)_({'|'.join(CRUD_TEMPLATES)})\.html")
TEMPLATES = {
    "accounts/passkey_add.html": "accounts/passkey_create.html",
    "crud/confirm_delete.html": "crud/delete.html",
    "crud/detail.html": "crud/get.html",
    "teams/new.html": "teams/create.html",
    "admin/dashboard_pages.html": "dashboard/pages.html",
    "admin/saved_view.html": "saved_views/form.html",
    "admin/saved_views.html": "saved_views/bar.html",
    "admin/versions.html": "row_versions/history.html",
    "admin/import.html": "import_export/import.html",
    "admin/operations.html": "operations/index.html",
    "admin/operations_backups.html": "backup/list.html",
    "admin/operations_doctor.html": "doctor/examination.html",
    "admin/operations_settings.html": "operations/settings.html",
    **{f"admin/{name}.html": f"operations/{name}.html" for name in ("appearance", "cache", "operation", "status")},
    **{f"admin/{name}.html": f"row_versions/{name}.html" for name in ("differences", "version")},
    **{f"admin/{name}.html": f"dashboard/{name}.html" for name in ("arrange", "checklist", "index", "widgets")},
    **{f"admin/widget_{name}.html": f"dashboard/widget_{name}.html" for name in ("chart", "number", "table")},
}
"""Templates that a project may have replaced."""
TEMPLATE_ATTRIBUTES = {
    "link.right": "link.permission",
    "message.address": "message.url",
    "feature.navigation": "feature.site.navigation",
    "feature.home_card": "feature.site.home_card",
}
GENERATED_CODE = {
    'prefix="filter-"': "is_filter=True",
    "feature.home_card for feature in": "feature.site.home_card for feature in",
    'account">Ada &lt;b&gt;Lovelace&lt;/b&gt;</span>': 'header-name">Ada &lt;b&gt;Lovelace&lt;/b&gt;</bdi>',
    'account">ada@example.com</span>': 'text-truncate">ada@example.com</span>',
    '    links = [Link("One", "/one"': '    app.state.navigation = links = [Link("One", "/one"',
}
"""Code of pages and tests that `startproject` wrote."""
ADMIN_VIEW = {
    "column_editable": "editable",
    "readonly_columns": "readonly",
    **{name: f"_{name}" for name in ("actions_for", "has_history", "logged_fields")},
}
USER_MANAGER = {"is_unchanged": "lock_unchanged"}
ATTRIBUTES = {
    "Crud": CRUD,
    "CrudApi": CRUD_API,
    "CrudPages": CRUD_PAGES,
    "AdminView": ADMIN_VIEW,
    "UserManager": USER_MANAGER,
}
"""Attributes and methods of subclasses, by base class."""
ANSWERS = """
    Answer AnswerAttachment AnswerFields AnswerManager AnswerRunning AnswerStatus AnswerStream Answers
    FileQuestionForm QuestionForm QuestionTooLong SentFile ShownAnswer StreamEvent StreamPosition TooManyAnswers
    after_answer answer_gone ask_by_form delete_attachments find_attachments parse_event_id refusals_in show_answer
    stored_attachments stream_json
"""
"""Names that moved from `opportune.llm` to `opportune.contrib.answers`."""
DOCUMENTS = """
    Document DocumentHit DocumentIndex DocumentRead DocumentSearch HtmlElement IndexMissing IndexStatus
    MAX_RANKED_HITS MAX_TEXT_LENGTH Source parse_main
"""
"""Names that moved from `opportune.search` to `opportune.contrib.documents`."""
INSTALLED_FEATURES = ("feature_of_table", "installed_features", "installed_names", "mounted_features")
PROJECT_MODULES = ("application", "settings_class", "site_application", "users_module")
"""Names in two parts of the former module `opportune.config.project`."""
KEYWORDS = {
    "HealthLight": {"address": "url"},
    "Link": {"right": "permission"},
    "SetupStep": {"address": "url"},
    "flash": {"address": "url"},
}
"""Keyword arguments of calls, by the name of the function or class."""
IMPORTS = {
    **{f"opportune.llm:{name}": f"opportune.contrib.answers:{name}" for name in ANSWERS.split()},
    **{f"opportune.search:{name}": f"opportune.contrib.documents:{name}" for name in DOCUMENTS.split()},
    "opportune.accounts.groups.grants": "opportune.accounts.permissions",
    "opportune.accounts.models:Grant": "opportune.accounts.models:GroupPermission",
    "opportune.accounts:read_grants": "opportune.accounts:read_permissions",
    "opportune.accounts.deletion.export": "opportune.accounts.flows.deletion",
    "opportune.admin:restore_version": "opportune.contrib.row_versions:restore_version",
    "opportune.admin:versions": "opportune.contrib.row_versions:versions",
    "opportune.crud:Access": "opportune.crud:Permission",
    "opportune.config.project": "opportune.project.layout",
    **{f"opportune.config.project:{name}": f"opportune.project.installed:{name}" for name in INSTALLED_FEATURES},
    **{f"opportune.config.project:{name}": f"opportune.project.modules:{name}" for name in PROJECT_MODULES},
    "opportune.db:DatabaseURL": "opportune.db:DatabaseUrl",
    "opportune.db:after_change": "opportune.db:after_update",
    "opportune.db:before_change": "opportune.db:before_update",
    "opportune.web.cache:clear": "opportune.web.cache:clear_cache",
    "opportune.llm": "opportune.contrib.llm",
    "opportune.llm.answers": "opportune.contrib.answers",
    "opportune.llm.answers.live": "opportune.contrib.answers.engine.live",
    "opportune.llm.documents.attachment": "opportune.contrib.llm.attachments",
    "opportune.llm.providers.local": "opportune.contrib.llm_local.local",
    "opportune.llm.spending": "opportune.contrib.answers.spending",
    "opportune.llm.tools": "opportune.contrib.tools",
    "opportune.llm:LLMError": "opportune.contrib.llm:LlmError",
    "opportune.mail:APIAnswer": "opportune.mail:ApiResponse",
    "opportune.mail:HTTPSTransport": "opportune.mail:HttpsTransport",
    "opportune.search.documents": "opportune.contrib.documents",
    "opportune.search.documents.contents": "opportune.contrib.documents.build",
    "opportune.search.documents:definition": "opportune.contrib.documents:index",
    "opportune.search.documents:sqlite_engine": "opportune.contrib.documents:sqlite",
    "opportune.search.query:queries_for": "opportune.search.questions:queries_for",
    "opportune.search:IndexURL": "opportune.contrib.documents:IndexUrl",
    "opportune.testing:grant": "opportune.testing:add_permission",
    "opportune.testing.factories:grant": "opportune.testing.factories:add_permission",
    "opportune.text": "opportune.fields",
    "opportune.web.forms.uploads:too_large": "opportune.web.forms.uploads:too_large_message",
    "opportune.web.markdown:rendered": "opportune.web.markdown:render_in_thread",
    "opportune.web.rendering.icons": "opportune.web.static.icons",
    "opportune.web.rendering.loader": "opportune.web.rendering.environment",
    "opportune.web.rendering.static_files": "opportune.web.static.files",
    "opportune:llm": "opportune.contrib:llm",
}
"""Names as `module:name`, and modules with all that they contain. Of several matches, the longest applies."""
BUILT_IN_FEATURES = (
    *("llm", "llm_embeddings", "llm_local", "telemetry", "request_panel", "backup", "doctor", "deploy", "copydb"),
    *("dumps", "inspectdb", "translations", "documentation", "documents", "palette", "welcome", "agents"),
)
"""Features that every site had. `app/installed.py` lists them now."""
BUILT_IN_ADMIN_FEATURES = ("operations", "dashboard", "saved_views", "row_versions", "import_export")
"""Features that every site with the admin had."""


def find_module(module: str) -> str:
    """Return the current name of a module."""
    parts = module.split(".")
    for length in range(len(parts), 0, -1):
        if new := IMPORTS.get(".".join(parts[:length])):
            return ".".join([new, *parts[length:]])
    return module


def find_import(module: str, name: str) -> tuple[str, str]:
    """Return the current module and name of a name that was importable from a module."""
    new_module, _, new_name = IMPORTS.get(f"{module}:{name}", "").partition(":")
    return (new_module, new_name) if new_name else (find_module(module), name)


def find_template(name: str) -> str | None:
    """Return the current name of a template; None if it was not renamed."""
    match = CRUD_TEMPLATE.fullmatch(name)
    return f"{match[1]}_{CRUD_TEMPLATES[match[2]]}.html" if match else TEMPLATES.get(name)


def renamed_to(name: str, names: Mapping[str, str]) -> str:
    """Return ` It is called update now.` for the end of an error message; empty if the name was not replaced."""
    return f" It is called {names[name]} now." if name in names else ""
