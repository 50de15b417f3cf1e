"""The skeleton of a new family."""
