"""Documents that are made from the code and the manifest."""
