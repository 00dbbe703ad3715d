"""Form in the admin that selects the site's language model, for superusers without access to the settings."""

import asyncio
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import BaseModel, SecretStr
from pydantic import Field as FormField
from starlette.requests import Request

from opportune.admin.log import audit
from opportune.config.llm_models import MAX_MODEL_NAME_LENGTH, LlmModel
from opportune.config.settings import Settings
from opportune.contrib.answers import chosen_model
from opportune.contrib.llm import LlmError, make_provider, models_of
from opportune.contrib.llm.language_model import MODEL_TOPIC, LanguageModel
from opportune.contrib.llm.providers.factory import KNOWN_ENDPOINTS
from opportune.db.url.providers import is_local
from opportune.i18n import gettext as _
from opportune.i18n import gettext_lazy as _l
from opportune.i18n import ngettext
from opportune.schemas.text import Line
from opportune.web import FieldOptions, Form

PAGE = "/admin/llm/provider"
IDENTITY = "llm"
TRIAL_SECONDS = 20.0
"""Timeout of the test question."""
MAX_TRIAL_TOKENS = 256
TRIAL_QUESTION = "Answer with one word: yes."  # not translated
NO_URL = _l("Enter the address, such as https://llm.example.org/v1.")
INSECURE = _l("The key would be sent unencrypted. Enter an address that begins with https://.")
KEY_OF_OTHER_URL = _l("Enter the key again. The stored key belongs to another address.")
NO_KEY = _l("Enter the API key of this provider.")

PROVIDERS = {name: endpoint.title for name, endpoint in KNOWN_ENDPOINTS.items()} | {"other": "Other (address below)"}


class ChosenModelForm(BaseModel):
    provider: Annotated[str, FieldOptions(PROVIDERS, type="select")] = FormField("openrouter", max_length=40)
    base_url: Annotated[Line, FieldOptions(inputmode="url", autocomplete="off")] = FormField(
        "",
        title="Address",
        max_length=500,
        description="Only if it differs from the provider's usual one. It needs OpenAI's chat completions API.",
    )
    model: Annotated[Line, FieldOptions(list="known-models", autocomplete="off", spellcheck="false")] = FormField(
        min_length=1, max_length=MAX_MODEL_NAME_LENGTH, title="Model", description="Name used by the provider."
    )
    api_key: Annotated[SecretStr, FieldOptions(autocomplete="off", maxlength=1000)] = FormField(
        SecretStr(""),
        title="Key",
        max_length=1000,
        description="Stored encrypted and never shown again. Leave empty to use the stored key.",
    )


async def page_context(request: Request) -> dict[str, Any]:
    """Return the variables of the page, with only the last characters of the key."""
    settings: Settings = request.app.state.settings
    async with request.app.state.database.reader(fresh=True) as session:
        chosen = await chosen_model.read_chosen(session)
    key = chosen_model.unsealed(settings, chosen.base_url, chosen.sealed_key) if chosen else ""
    return {
        "chosen": chosen,
        "lacks_model": await request.app.state.llm.waits_for_choice(),
        "host": urlsplit(chosen.base_url).hostname if chosen else "",
        "key_end": key[-4:] if len(key) > 12 else "",
        "key_is_lost": bool(chosen and chosen.sealed_key and not key),
        "configured_names": [model.name for model in models_of(settings)],
        "known": KNOWN_ENDPOINTS,
    }


def form_of(chosen: chosen_model.ChosenModel | None) -> Form[ChosenModelForm]:
    if chosen is None:
        return Form(ChosenModelForm)
    endpoint = KNOWN_ENDPOINTS.get(chosen.provider)
    base_url = "" if endpoint and endpoint.base_url == chosen.base_url else chosen.base_url
    return Form(ChosenModelForm, {"provider": chosen.provider, "base_url": base_url, "model": chosen.model})


async def choose(request: Request, form: Form[ChosenModelForm]) -> str | None:
    """Test the submitted model and store it. Return a message; None if it is refused, with messages in the form."""
    settings: Settings = request.app.state.settings
    async with request.app.state.database.reader(fresh=True) as session:
        stored = await chosen_model.read_chosen(session)
    model = _submitted_model(form, settings, stored)
    if model is None:
        return None
    if fault := await trial_fault(settings, model):
        form.refuse(fault)
        return None
    description = f"{model.name} at {urlsplit(model.base_url).hostname}"
    async with request.app.state.database.writer() as session:
        await chosen_model.store_chosen(session, settings, form.value("provider"), model)
        audit.record(session, request, "choose-model", IDENTITY, title=description)
    await _apply_choice(request)
    return _("%(model)s now answers questions.", model=description)


async def remove(request: Request) -> str:
    """Remove the selected model. Return a message about the result."""
    async with request.app.state.database.writer() as session:
        if not await chosen_model.remove_chosen(session):
            return _("No model was selected.")
        audit.record(session, request, "remove-model", IDENTITY, title=_("The key is deleted."))
    await _apply_choice(request)
    return _("The model and its key were removed.")


async def _apply_choice(request: Request) -> None:
    """Use the stored choice in this process and in the others."""
    await request.app.state.llm.refresh(force=True)
    request.app.state.database.bus.publish(MODEL_TOPIC)


async def trial_fault(settings: Settings, model: LlmModel) -> str | None:
    """Ask the model a short question. Return why it failed; None if there is no fault."""
    provider = make_provider(settings, model.model_copy(update={"max_answer_tokens": MAX_TRIAL_TOKENS}))
    assert provider
    try:
        async with asyncio.timeout(TRIAL_SECONDS):
            await LanguageModel(lambda: provider).complete(TRIAL_QUESTION)
    except LlmError as error:
        if error.code == "out_of_tokens":  # a reasoning model, which needs more tokens than the test allows
            return None
        return _("The test question failed: %(error)s", error=_(str(error)))
    except TimeoutError:
        return ngettext(
            "The model did not answer a test question within %(num)s second.",
            "The model did not answer a test question within %(num)s seconds.",
            round(TRIAL_SECONDS),
        )
    finally:
        await provider.close()
    return None


def _submitted_model(
    form: Form[ChosenModelForm], settings: Settings, stored: chosen_model.ChosenModel | None
) -> LlmModel | None:
    """Return the submitted model; None if the form is invalid, with messages in the form."""
    if form.data is None:
        return None
    endpoint = KNOWN_ENDPOINTS.get(form.data.provider)
    base_url = (form.data.base_url or (endpoint.base_url if endpoint else "")).rstrip("/")
    if fault := _url_fault(base_url):
        form.refuse(fault, "base_url")
        return None
    keeps_url = stored is not None and stored.base_url == base_url
    key = form.data.api_key.get_secret_value().strip()
    if not key and stored and keeps_url:
        key = chosen_model.unsealed(settings, base_url, stored.sealed_key)
    if not key and not _is_local_url(base_url):
        has_key_of_other_url = stored and stored.sealed_key and not keeps_url
        form.refuse(KEY_OF_OTHER_URL if has_key_of_other_url else NO_KEY, "api_key")
        return None
    return chosen_model.llm_model(base_url, form.data.model, key)


def _url_fault(base_url: str) -> str | None:
    """Return why the URL cannot be used; None if there is no fault."""
    try:
        parts = urlsplit(chosen_model.llm_model(base_url, "any", "").base_url)
    except ValueError:
        return NO_URL
    if not base_url or parts.username or parts.password:
        return NO_URL
    return INSECURE if parts.scheme == "http" and not _is_local_url(base_url) else None


def _is_local_url(base_url: str) -> bool:
    return is_local(urlsplit(base_url).hostname or "")
