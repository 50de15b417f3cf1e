"""What operators and Cloud Build run: packaging, releases, checks, secrets, backups (docs/deployment.md)."""
