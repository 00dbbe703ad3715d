"""Server of the protocol: tools, resources and prompts of the site."""
