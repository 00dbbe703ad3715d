"""Provider for a model with another dialect than OpenAI's chat completions."""

from collections.abc import Mapping, Sequence
from contextlib import aclosing
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from opportune.config.settings import Settings
from opportune.contrib.llm import Chunks, LlmError, LlmModel, Message, Timeouts, ToolSchema
from opportune.contrib.llm.completion.streams import first_answer
from opportune.contrib.llm.providers.remote import LazyClient, RemoteProvider, compacted_answer
from opportune.i18n import gettext_lazy as _l
from opportune.project.current import OPPMAN

if TYPE_CHECKING:
    from opportune.contrib.llm_vendors.endpoint import Endpoint

NOT_INSTALLED = _l("The packages of this language model are not installed.")
NO_KEY = _l("This language model has no key.")
NO_KEY_ADVICE = "Set LLM_API_KEY, or api_key_setting of this model in LLM_MODELS."


class VendorModel(RemoteProvider):
    """Provider for one model of a vendor."""

    def __init__(self, settings: Settings, model: LlmModel) -> None:
        super().__init__(model)
        self._timeouts = Timeouts.of(settings)
        self._endpoint = LazyClient(self._make_endpoint)
        self._missing = f"{model.name} needs more packages. Install them: {OPPMAN} install llm-vendors"
        self.fault = "" if find_spec("pydantic_ai") else self._missing

    async def close(self) -> None:
        await self._endpoint.close()

    async def stream_with_tools(
        self,
        messages: Sequence[Message],
        tools: Sequence[ToolSchema],
        *,
        temperature: float | None = None,
        schema: Mapping[str, Any] | None = None,
    ) -> Chunks:
        endpoint = await self._open()

        def answer(schema: Mapping[str, Any] | None) -> Chunks:
            return compacted_answer(lambda turns: endpoint.stream(turns, tools, temperature, schema), messages)

        schemas = [schema, None] if schema and endpoint.takes_schema() else [None]

        async def leaves_schema_out(_number: int, error: LlmError) -> bool:
            return error.code == "rejected"

        async with aclosing(first_answer([partial(answer, schema) for schema in schemas], leaves_schema_out)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def _open(self) -> "Endpoint":
        if not self._model.api_key.get_secret_value():  # the libraries would look for one in the environment
            raise LlmError("not_configured", NO_KEY, advice=NO_KEY_ADVICE)
        try:
            return await self._endpoint.open()
        except ImportError:  # Pydantic AI, or the library of the vendor
            raise LlmError("not_configured", NOT_INSTALLED, advice=self._missing) from None

    def _make_endpoint(self) -> "Endpoint":
        from opportune.contrib.llm_vendors.endpoint import Endpoint  # slow and large

        return Endpoint(self._model, self._timeouts)
