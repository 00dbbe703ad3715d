"""Django's comforts on FastAPI: accounts, an admin, jobs, mail, files, language models and a management command."""

__version__ = "0.2.0"
