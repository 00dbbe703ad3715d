"""What language models cost: counted by day, person and model; limited for persons, visitors and the site."""
