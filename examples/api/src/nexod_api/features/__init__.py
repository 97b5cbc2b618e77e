"""One module a feature, each with a `router`. A version has the features whose modules are in its wheel."""
