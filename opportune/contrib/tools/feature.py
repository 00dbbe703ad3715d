from fastapi import FastAPI

from opportune.contrib.tools.toolbox import retrieval_of, toolbox_of
from opportune.feature import Feature


def init_app(app: FastAPI) -> None:
    """Report mistakes in tools at the start in development. `check` reports them elsewhere."""
    is_used = any(feature.tools or feature.retrieval for feature in app.state.features)
    if is_used and app.state.settings.environment == "development":
        toolbox_of(app).require_valid_tools()
        retrieval_of(app).require_search_functions()


tools = Feature(name="tools", summary="Functions that language models may call.", init_app=init_app)
