"""A headless Chromium for pages. Debian: apt-get install chromium."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.waiting import WAIT_SECONDS

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
WAIT_MS = 8000  # of the page's own clock, which runs ahead while nothing is loading


def chromium() -> str:
    """Return the browser's path; without one the test is skipped, in CI it fails."""
    if CHROMIUM is None:
        if os.environ.get("CI") == "true":
            pytest.fail("there is no Chromium to show a page to")
        pytest.skip("SKIPPED: there is no Chromium to show a page to (Debian: apt-get install chromium)")
    return CHROMIUM


def look(url: str, folder: Path, *, width: int = 1200, height: int = 900, dark: bool = False) -> tuple[str, bytes]:
    """Return what the page's document has become after some seconds, and a picture of it (PNG)."""
    picture = folder / "picture.png"
    arguments = [
        chromium(), "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
        f"--user-data-dir={folder / 'profile'}", f"--window-size={width},{height}", f"--virtual-time-budget={WAIT_MS}",
        *(["--force-dark-mode", "--blink-settings=preferredColorScheme=0"] if dark else []),
    ]  # fmt: skip
    _run([*arguments, f"--screenshot={picture}", url])
    return _run([*arguments, "--dump-dom", url]).decode(), picture.read_bytes()


def _run(arguments: list[str]) -> bytes:
    return subprocess.run(arguments, capture_output=True, check=True, timeout=WAIT_SECONDS).stdout
