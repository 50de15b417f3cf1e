"""What runs a server on a laptop: embedded PostgreSQL, the gateway, its secrets and backups. None is deployed."""
