"""The choice of a language model in the browser, for sites without access to a shell or to settings."""

import asyncio
from typing import Annotated, Any
from urllib.parse import SplitResult, urlsplit

from pydantic import BaseModel, SecretStr
from pydantic import Field as FormField
from starlette.requests import Request

from opportune.admin.log import audit
from opportune.config.llm_models import MAX_MODEL_NAME_LENGTH, LlmModel
from opportune.config.settings import Settings
from opportune.db.url.providers import is_local
from opportune.llm import LLMError, make_provider, models_of
from opportune.llm.answers.chosen_model import (
    ChosenModel,
    llm_model,
    read_chosen,
    remove_chosen,
    store_chosen,
    unsealed,
)
from opportune.llm.language_model import LanguageModel
from opportune.llm.providers.known_endpoints import KNOWN_ENDPOINTS, OTHER
from opportune.text import Line
from opportune.web import FieldOptions, Form, read_form

PAGE = "/admin/llm/provider"
IDENTITY = "llm"
TRIAL_SECONDS = 20.0
"""Seconds for the one short answer of a trial."""
TRIAL_TOKENS = 256
TRIAL = "Answer with one word: yes."
NO_ADDRESS = "Write the address, such as https://llm.example.org/v1."
IN_THE_OPEN = "The key would travel in the open: take an address that begins with https://."
OF_ANOTHER = "Write the key again: the one that is kept belongs to another address."
WITHOUT_KEY = "Write the key that this provider has given you."

PROVIDERS = {name: known.title for name, known in KNOWN_ENDPOINTS.items()} | {OTHER: "Another, at the address below"}


class ChosenModelForm(BaseModel):
    """The form for a superuser."""

    provider: Annotated[str, FieldOptions(PROVIDERS, type="select")] = FormField("openrouter", max_length=40)
    base_url: Annotated[Line, FieldOptions(inputmode="url", autocomplete="off")] = FormField(
        "",
        title="Address",
        max_length=500,
        description="Only where it is another than the provider's usual one. It speaks OpenAI's chat completions.",
    )
    model: Annotated[Line, FieldOptions(list="known-models", autocomplete="off", spellcheck="false")] = FormField(
        min_length=1, max_length=MAX_MODEL_NAME_LENGTH, title="Model", description="As the provider writes it."
    )
    api_key: Annotated[SecretStr, FieldOptions(autocomplete="off", maxlength=1000)] = FormField(
        SecretStr(""),
        title="Key",
        max_length=1000,
        description="It is kept sealed, and never shown again. Left empty, the one that is kept is used.",
    )


async def page_context(request: Request) -> dict[str, Any]:
    """Return the variables of the page. Of the key it has only the last characters."""
    settings: Settings = request.app.state.settings
    async with request.app.state.database.reader(fresh=True) as session:
        chosen = await read_chosen(session)
    key = unsealed(settings, chosen.base_url, chosen.sealed_key) if chosen else ""
    return {
        "chosen": chosen,
        "lacks_model": await request.app.state.llm.waits_for_choice(),
        "host": urlsplit(chosen.base_url).hostname if chosen else "",
        "key_end": key[-4:] if len(key) > 12 else "",
        "key_is_lost": bool(chosen and chosen.sealed_key and not key),
        "of_settings": [model.name for model in models_of(settings)],
        "known": KNOWN_ENDPOINTS,
    }


def form_of(chosen: ChosenModel | None) -> Form[ChosenModelForm]:
    if chosen is None:
        return Form(ChosenModelForm)
    known = KNOWN_ENDPOINTS.get(chosen.provider)
    address = "" if known and known.base_url == chosen.base_url else chosen.base_url
    return Form(ChosenModelForm, {"provider": chosen.provider, "base_url": address, "model": chosen.model})


async def choose(request: Request) -> tuple[Form[ChosenModelForm], str]:
    """Try the submitted model and store it. Return the form with its errors, or a sentence about the result."""
    form = await read_form(request, ChosenModelForm)
    settings: Settings = request.app.state.settings
    async with request.app.state.database.reader(fresh=True) as session:
        chosen = await read_chosen(session)
    model = _submitted_model(form, settings, chosen)
    if model is None:
        return form, ""
    if fault := await trial_fault(settings, model):
        form.refuse(fault)
        return form, ""
    description = f"{model.name} at {urlsplit(model.base_url).hostname}"
    async with request.app.state.database.writer() as session:
        await store_chosen(session, settings, form.value("provider"), model)
        audit.record(session, request, "choose-model", IDENTITY, title=description)
    await request.app.state.llm.refresh(at_once=True)
    return form, f"{description} answers from now on."


async def remove(request: Request) -> str:
    """Remove the chosen model. Return a sentence about the result."""
    async with request.app.state.database.writer() as session:
        if not await remove_chosen(session):
            return "Nothing was chosen."
        audit.record(session, request, "remove-model", IDENTITY, title="The key is deleted.")
    await request.app.state.llm.refresh(at_once=True)
    return "The model and its key are removed."


async def trial_fault(settings: Settings, model: LlmModel) -> str:
    """Ask the model a short question. Return why it does not answer, or an empty string."""
    provider = make_provider(settings, model.model_copy(update={"max_answer_tokens": TRIAL_TOKENS}))
    assert provider
    try:
        async with asyncio.timeout(TRIAL_SECONDS):
            await LanguageModel(lambda: provider).complete(TRIAL)
    except LLMError as error:
        if error.code == "out_of_tokens":  # a reasoning model: the trial is shorter than its thoughts
            return ""
        return f"It was asked, and this came back: {error}"
    except TimeoutError:
        return f"It was asked, and said nothing for {TRIAL_SECONDS:.0f} seconds."
    finally:
        await provider.close()
    return ""


def _submitted_model(form: Form[ChosenModelForm], settings: Settings, chosen: ChosenModel | None) -> LlmModel | None:
    """Return the submitted model; None if the form is invalid, with messages in the form."""
    if form.data is None:
        return None
    sent, known = form.data, KNOWN_ENDPOINTS.get(form.data.provider)
    base_url = (sent.base_url or (known.base_url if known else "")).rstrip("/")
    parts = _address_parts(base_url)
    if parts is None or parts.username or parts.password:
        form.refuse(NO_ADDRESS, "base_url")
        return None
    is_here = is_local(parts.hostname or "")
    if parts.scheme == "http" and not is_here:
        form.refuse(IN_THE_OPEN, "base_url")
        return None
    key = sent.api_key.get_secret_value().strip()
    if not key and chosen:
        if chosen.base_url == base_url:
            key = unsealed(settings, chosen.base_url, chosen.sealed_key)
        elif chosen.sealed_key and not is_here:
            form.refuse(OF_ANOTHER, "api_key")
            return None
    if not key and not is_here:
        form.refuse(WITHOUT_KEY, "api_key")
        return None
    return llm_model(base_url, sent.model, key)


def _address_parts(base_url: str) -> SplitResult | None:
    """Split the address; None if it does not follow the rule of the setting."""
    try:
        return urlsplit(llm_model(base_url, "any", "").base_url) if base_url else None
    except ValueError:
        return None
