from app.home.checks import check_legal_texts
from app.home.pages import router
from opportune.feature import Feature

home = Feature(
    name="home",
    summary="The landing page and the legal pages.",
    pages=router,
    production_checks=[check_legal_texts],
)
"""The landing page, with a footer that all pages show. The texts are in `templates/home/`; write your own."""
