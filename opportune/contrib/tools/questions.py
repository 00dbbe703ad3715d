"""Questions of a model to the user, as tools whose result is a filled-in form."""

import re

from pydantic import BaseModel

from opportune.contrib.tools.declaration import Tool


def ask_user(form: type[BaseModel], *, name: str = "") -> Tool:
    """Create a tool with which a model asks the user to fill in a form. The answer waits for it, also for days.

    Example:
        class Audience(BaseModel):
            \"\"\"Ask for whom the page is.\"\"\"

            readers: Literal["beginners", "experts"]

        Feature("pages", "Pages.", llm=Llm(tools=[ask_user(Audience)]))

    Args:
        form: Fields that the user fills in. The docstring describes the tool to the model.
        name: Name for the model. By default `ask_` and the name of the form.
    """

    async def ask(question: str) -> str:
        raise NotImplementedError(question)  # the reply of the user is the result

    words = re.sub(r"(?<!^)(?=[A-Z])", "_", form.__name__).lower()
    # The attributes describe the tool to the model, and name it in messages.
    ask.__doc__ = vars(form).get("__doc__") or ""
    ask.__module__ = form.__module__
    ask.__qualname__ = form.__qualname__
    summary = ask.__doc__.strip().partition("\n")[0].rstrip(".")
    return Tool(ask, name or f"ask_{words}", summary, asks=True, form=form)
