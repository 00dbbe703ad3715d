"""What `startapp`, `addmodel` and `removemodel` write: the code of a model, from the templates in skeleton/."""
