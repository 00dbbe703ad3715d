"""An application as in FastAPI's tutorial of SQL databases, which `test_existing_app.py` extends."""
