"""Secrets of a local installation: made when they are first needed, and kept under DATA_DIR for their owner alone."""

import os
import secrets
import tempfile
from contextlib import suppress
from pathlib import Path

KEY_BYTES = 32
CHAT_KEY = "chat-token-key"  # signs connection tokens
OPERATOR_KEY = "operator-token"  # what other machines must show for the private routes
WEB_KEY = "web-auth-api-key"  # what `make chat` shows to `make serve`


def kept_secret(data_dir: Path, name: str) -> str:
    """Return the secret of that name, after making it where there is none. Raises OSError."""
    path = data_dir / "secrets" / name
    with suppress(FileNotFoundError):
        return path.read_text()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    file, new = tempfile.mkstemp(dir=path.parent)  # for its owner alone
    try:
        os.write(file, secrets.token_urlsafe(KEY_BYTES).encode())
        with suppress(FileExistsError):  # whoever is first has made it for all
            os.link(new, path)
    finally:
        os.close(file)
        os.unlink(new)  # noqa: PTH108 - a path of mkstemp's
    return path.read_text()
