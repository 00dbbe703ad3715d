from opportune.contrib.llm_media.endpoints import MediaEndpoints
from opportune.contrib.llm_media.settings import MediaSettings
from opportune.feature import Feature, Llm

llm_media = Feature(
    "llm_media",
    "Models that make pictures, read texts aloud, write down recordings and order search results.",
    requires=("llm",),
    settings=MediaSettings,
    llm=Llm(providers={"media": MediaEndpoints}),
)
