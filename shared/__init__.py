"""What every function imports: HTTP edge (`shared.http`), data access (`shared.data`), settings, passwords, errors."""
