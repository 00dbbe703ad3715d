from opportune.config.llm_models import VENDOR_URLS
from opportune.contrib.llm_vendors.vendor_model import VendorModel
from opportune.feature import Feature, Llm

llm_vendors = Feature(
    "llm_vendors",
    "Language models of Anthropic, Google, Bedrock and OpenAI's Responses, by their own protocols.",
    requires=("llm",),
    llm=Llm(providers=dict.fromkeys((*VENDOR_URLS, "bedrock"), VendorModel)),
)
