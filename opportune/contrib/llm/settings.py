"""Settings of models for pictures, speech, transcription and reranking."""

from typing import Annotated, Any

from pydantic import BeforeValidator, TypeAdapter, ValidationError
from pydantic_settings import NoDecode

from opportune.config.base_settings import BaseSettings
from opportune.contrib.llm.media.models import MediaModel


def _parse_model(value: object) -> object:
    if not isinstance(value, str):
        return value
    if not value.lstrip().startswith("{"):
        return {"name": value.strip()} if value.strip() else None
    try:
        return TypeAdapter(dict[str, Any]).validate_json(value)
    except ValidationError:
        raise ValueError('must be a name, or JSON such as {"name": "whisper-1"}') from None


ModelSetting = Annotated[MediaModel | None, NoDecode, BeforeValidator(_parse_model)]


class MediaSettings(BaseSettings):
    image_model: ModelSetting = None
    """Makes pictures: a model at LLM_BASE_URL (gpt-image-1), or JSON (oppman.py docs media)."""
    speech_model: ModelSetting = None
    """Reads texts aloud: a model at LLM_BASE_URL (gpt-4o-mini-tts), or JSON."""
    transcription_model: ModelSetting = None
    """Writes down recordings: a model at LLM_BASE_URL (whisper-1), or JSON."""
    rerank_model: ModelSetting = None
    """Orders search results: a model with its base_url, as JSON (oppman.py docs media)."""
