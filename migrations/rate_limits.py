"""The rate limits' table, which may be in the service's own database (version 0006) or in one of its own.

It is the original backend's, and stays as it is where the original has made it.
"""

TABLE = """
CREATE TABLE IF NOT EXISTS rate_limit_consumptions (
    key text NOT NULL,
    requests timestamptz[] NOT NULL,
    CONSTRAINT pk_rate_limit_consumptions PRIMARY KEY (key)
)
"""
