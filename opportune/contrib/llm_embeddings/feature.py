from typing import Any

from opportune.contrib.llm import LanguageModel
from opportune.contrib.llm_embeddings.embeddings import Embeddings
from opportune.contrib.llm_embeddings.jobs import connect_embeddings, embed_all, embed_rows, embed_when_started
from opportune.feature import Feature, Jobs, Process
from opportune.services import Service, Services


def _open_embeddings(services: Services) -> Embeddings | None:
    embeddings = Embeddings.of(services.settings, services.get(LanguageModel).guard)
    if embeddings:
        connect_embeddings(services.database, embeddings)
    return embeddings


llm_embeddings = Feature(
    "llm_embeddings",
    "Search by meaning, with an embedding model.",
    requires=("llm",),
    process=Process(
        services=(Service[Any]("llm_embeddings", Embeddings, _open_embeddings, close=Embeddings.close),),
        lifespan=embed_when_started,
    ),
    jobs=Jobs((embed_rows, embed_all)),
)
