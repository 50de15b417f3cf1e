"""The chat hubs from a page of another origin in a real browser: CORS with credentials, and tokens in addresses."""

import json
import subprocess
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue

import pytest

from client.scripted_answers import Say
from tests.browsers import chromium
from tests.hub_clients import FOLDER, require_node
from tests.waiting import WAIT_SECONDS

pytestmark = pytest.mark.slow
CLIENT = FOLDER / "node_modules" / "@microsoft" / "signalr" / "dist" / "browser" / "signalr.min.js"
PAGE = """<!doctype html>
<script src="signalr.js"></script>
<script>
  const report = (result) => fetch("result", { method: "POST", body: JSON.stringify(result) });
  const received = [];
  const connection = new signalR.HubConnectionBuilder()
    .withUrl(HUB, { accessTokenFactory: () => "Web key", transport: signalR.HttpTransportType.TRANSPORT })
    .build();
  connection.on("ReceiveMessage", (message) => received.push(message));
  connection.start()
    .then(() => connection.invoke("SendMessage", "Hello", 3))
    .then(() => connection.stop())
    .then(() => report(received), (error) => report(String(error)));
</script>
"""


@contextmanager
def page_server(page):
    """Serve a page and the client on an origin of their own; what the page reports comes out of the queue."""
    results: Queue[object] = Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            answers = {"/": page.encode(), "/signalr.js": CLIENT.read_bytes()}
            self.answer(answers.get(self.path, b""), "text/html" if self.path == "/" else "text/javascript")

        def do_POST(self):
            results.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.answer(b"", "text/plain")

        def answer(self, body, content_type):
            self.send_response(200)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = False
    thread = threading.Thread(target=server.serve_forever, args=[0.01])
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/", results
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def browser(url, profile):
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-port=0"]
    process = subprocess.Popen(
        [chromium(), *options, f"--user-data-dir={profile}", url], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait()


@pytest.mark.parametrize("transport", ["WebSockets", "LongPolling"])
def test_a_page_of_another_origin_chats(chat_server, model, tmp_path, transport):
    require_node()
    model.script(Say("Hi"))
    page = PAGE.replace("HUB", json.dumps(f"{chat_server.url}/ai-chat-v2")).replace("TRANSPORT", transport)
    with page_server(page) as (url, results), browser(url, tmp_path):
        assert results.get(timeout=WAIT_SECONDS) == [{"type": "messageResponse", "message": "Hi"}]
