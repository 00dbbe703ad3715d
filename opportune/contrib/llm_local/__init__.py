"""A small language model on this machine, for sites that have no other, and the model servers that run here."""
