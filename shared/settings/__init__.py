"""Settings: one frozen dataclass per concern, read from the environment once, at first use."""
