"""Endpoint families, one folder each, listed in `manifest.yaml`. A family imports `shared`, never another family."""
