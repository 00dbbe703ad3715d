from opportune.contrib.llm_local.local import LocalModel
from opportune.feature import Feature, Llm

llm_local = Feature(
    "llm_local",
    "A small language model on this machine, and the model servers that run here.",
    requires=("llm",),
    llm=Llm(providers={"local": LocalModel.of}),
    quickstart="opportune.contrib.llm_local.quickstart",
)
