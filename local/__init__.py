"""What a laptop needs: embedded PostgreSQL, the server around the gateway, the demo. Nothing of it is deployed."""
