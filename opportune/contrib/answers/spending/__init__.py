"""Usage and cost of language models: counted per day, user and model, and limited per user, visitor and site."""
