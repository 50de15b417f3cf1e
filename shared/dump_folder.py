"""The folder of backups of the database: what lies there, for who asks for one (/admin) and who writes it."""

WANTED = "wanted"  # a file that is there while one is
FAILED = "failed"  # why the last one was not written
PATTERN = "liftlog-*.dump"
