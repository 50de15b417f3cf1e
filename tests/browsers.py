"""A headless Chromium for pages. Debian: apt-get install chromium."""

import json
import os
import shutil
import subprocess
from base64 import b64decode
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest
import requests
from simple_websocket import Client

from tests.waiting import WAIT_SECONDS, wait_for

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


class Browser:
    """A Chromium that is driven: DevTools' protocol, over the WebSocket of its one tab. Use as a context manager."""

    def __init__(self, profile: Path) -> None:
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"]
        self._process = subprocess.Popen(
            [chromium(), *options, "--remote-debugging-port=0", f"--user-data-dir={profile}", "about:blank"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        port_file = profile / "DevToolsActivePort"
        wait_for(lambda: port_file.exists() and "\n" in port_file.read_text())
        url = f"http://127.0.0.1:{port_file.read_text().splitlines()[0]}/json/list"
        tabs = wait_for(
            lambda: [tab for tab in requests.get(url, timeout=WAIT_SECONDS).json() if tab["type"] == "page"]
        )
        self._socket = Client(tabs[0]["webSocketDebuggerUrl"])
        self._calls = 0

    def open(self, url: str) -> None:
        """Go to a page, and wait until it is there."""
        self._call("Page.navigate", url=url)
        self.wait_until(f"location.href.startsWith({json.dumps(url)}) && document.readyState === 'complete'")

    def run(self, script: str) -> Any:
        """Return what a script in the page says, once it is there. The page's own policy does not hold for it."""
        said = self._call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in said, said
        return said["result"].get("value")

    def wait_until(self, condition: str) -> None:
        """Wait until an expression is true of the page."""
        wait_for(lambda: self._holds(condition))

    def resize(self, width: int, height: int) -> None:
        """Make it a phone's, or whatever size."""
        self._call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )

    def color(self, scheme: str) -> None:
        """Have pages believe that the person wants them `dark` or `light`."""
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self._call("Emulation.setEmulatedMedia", features=[feature])

    def picture(self) -> bytes:
        """Return a picture of the whole page (PNG)."""
        return b64decode(self._call("Page.captureScreenshot", captureBeyondViewport=True)["data"])

    def __enter__(self) -> "Browser":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._socket.close()
        self._process.terminate()
        self._process.wait()

    def _holds(self, condition: str) -> bool:
        """Tell whether it is true; while a page is left for another, nothing is."""
        said = self._call("Runtime.evaluate", expression=f"!!({condition})", returnByValue=True)
        return "exceptionDetails" not in said and said.get("result", {}).get("value") is True

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._calls += 1
        self._socket.send(json.dumps({"id": self._calls, "method": method, "params": parameters}))
        while True:
            message: dict[str, Any] = json.loads(self._socket.receive(timeout=WAIT_SECONDS) or "{}")
            if message.get("id") == self._calls:
                result: dict[str, Any] = message.get("result", {})
                return result
