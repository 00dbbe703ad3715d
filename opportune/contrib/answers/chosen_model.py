"""Language model selected in the admin, for sites without a model in their settings. Its key is encrypted."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field

from opportune.config.llm_models import MAX_MODEL_NAME_LENGTH, LlmModel
from opportune.config.settings import Settings
from opportune.config.signing import seal, unseal
from opportune.db import Database, ModelBase, utc_now
from opportune.schemas.text import Text

SITE = "site"
"""Key of the only row."""
KEY_PURPOSE = "answers: key of the chosen model"


class ChosenModel(ModelBase, table=True):
    """The selected model: at most one row."""

    __tablename__ = "answers_chosen_model"

    key: str = Field(default=SITE, primary_key=True, max_length=20)
    provider: str = Field(max_length=40)
    """Key in `KNOWN_ENDPOINTS`, or `other`."""
    base_url: Text
    model: str = Field(max_length=MAX_MODEL_NAME_LENGTH)
    sealed_key: Text
    """API key, encrypted with SECRET_KEY and bound to `base_url`, so that a changed URL does not receive it."""
    chosen_at: datetime = Field(default_factory=utc_now)


async def read_chosen(session: AsyncSession) -> ChosenModel | None:
    return await session.get(ChosenModel, SITE)


async def look_up_chosen(database: Database, settings: Settings) -> LlmModel | None:
    """Return the selected model with its key, or None."""
    async with database.reader(fresh=True) as session:
        row = await read_chosen(session)
    return llm_model(row.base_url, row.model, unsealed(settings, row.base_url, row.sealed_key)) if row else None


def llm_model(base_url: str, model: str, api_key: str) -> LlmModel:
    return LlmModel.model_validate({"name": model, "model": model, "base_url": base_url, "api_key": api_key})


async def store_chosen(session: AsyncSession, settings: Settings, provider: str, model: LlmModel) -> None:
    """Store this model and its encrypted key as the selected one."""
    key = model.api_key.get_secret_value()
    sealed_key = seal(settings, _purpose(model.base_url), key) if key else ""
    await session.merge(
        ChosenModel(provider=provider, base_url=model.base_url, model=model.name, sealed_key=sealed_key)
    )


async def remove_chosen(session: AsyncSession) -> bool:
    """Delete the selected model and its key. Return False if there is none."""
    row = await read_chosen(session)
    if row:
        await session.delete(row)
    return row is not None


def unsealed(settings: Settings, base_url: str, sealed_key: str) -> str:
    """Decrypt the key. Return an empty string if SECRET_KEY or the URL has changed."""
    return unseal(settings, _purpose(base_url), sealed_key) or ""


def _purpose(base_url: str) -> str:
    return f"{KEY_PURPOSE} at {base_url}"
