"""Admin pages of answers: a list of answers, the usage of language models, and the selection of a model."""

from sqladmin import expose
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from opportune.admin.authorization import SuperuserOnly
from opportune.admin.forms.admin_form import read_form_texts
from opportune.admin.templates import render_page
from opportune.admin.views import AdminView
from opportune.contrib.answers.admin import provider
from opportune.contrib.answers.admin.usage import usage_context
from opportune.contrib.answers.models import Answer
from opportune.contrib.operations.page import reauthentication_required
from opportune.i18n import gettext
from opportune.web import Form, read_form
from opportune.web.rendering.flash import flash


class AnswerAdmin(AdminView, model=Answer):
    """Figures and ratings of answers. Questions, texts and prompts are private and not shown."""

    columns = (
        "id", "created_at", "owner_id", "topic", "model", "status",
        "prompt_tokens", "completion_tokens", "rating",
    )  # fmt: skip
    fields = (*columns, "rating_note", "error_code", "usage_estimated", "cost_micro", "finished_at")
    column_export_list = [*fields]
    search = ("topic", "model", "rating_note")
    filters = ("rating", "status", "owner_id", "created_at", "completion_tokens")
    column_labels = {"created_at": "When", "rating_note": "Why", "cost_micro": "Cost in millionths"}
    order = ("-id",)
    can_create = can_edit = can_delete = False
    _has_history = False
    icon, category = "ti ti-message-2", "Language models"


class LlmAdmin(SuperuserOnly):
    name = "Language models"
    icon, category = "ti ti-sparkles", "Operations"

    @expose("/llm", identity="llm")
    async def show(self, request: Request) -> Response:
        has_operations = any(feature.name == "operations" for feature in request.app.state.features)
        context = {"title": self.name, "has_operations": has_operations, **await usage_context(request)}
        return await render_page(request, self, "admin/llm.html", context)

    @expose("/llm/provider", methods=["GET", "POST"], identity="llm-provider")
    @reauthentication_required
    async def choose_model(self, request: Request) -> Response:
        form: Form[provider.ChosenModelForm] | None = None
        message: str | None = None
        if request.method == "POST":
            if "remove" in await read_form_texts(request):
                message = await provider.remove(request)
            else:
                form = await read_form(request, provider.ChosenModelForm)
                message = await provider.choose(request, form)
        if message:
            flash(request, message)
            return RedirectResponse(provider.PAGE, 303)
        context = await provider.page_context(request)
        if form is None:
            form = provider.form_of(context["chosen"])
        context |= {"title": gettext("Language model"), "form": form, "page": provider.PAGE}
        return await render_page(request, self, "admin/llm_provider.html", context, form.status)
