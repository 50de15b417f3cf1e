"""What a build takes from elsewhere is pinned, looked at and listed; nothing executable comes from an earlier build."""

import json
import os
import re
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import yaml

from local.processes import free_port

ROOT = Path(__file__).parent.parent.parent
BUILD = yaml.safe_load((ROOT / "cloudbuild.yaml").read_text())
AUDIT = ROOT / ".venv-audit" / "bin"
ONE_PACKAGE = "jinja2==2.4.1 \\\n    --hash=sha256:0000000000000000000000000000000000000000000000000000000000000000\n"


def test_actions_are_named_by_commit():
    for path in (ROOT / ".github" / "workflows").glob("*.yml"):
        for action in re.findall(r"uses: (.*)", path.read_text()):
            assert re.fullmatch(r"[\w/.-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action), f"{path.name}: {action}"


def test_images_of_the_pipeline_are_of_one_version():
    for step in BUILD["steps"]:
        assert re.search(r":\d+\.\d+", step["name"]), step["name"]


def test_a_build_executes_nothing_that_an_earlier_one_left():
    text = (ROOT / "cloudbuild.yaml").read_text()
    assert "liftlog-state" in text  # Terraform's backend, and nothing else of that bucket
    assert re.findall(r"gs://\S*liftlog-state\S*", text) == []
    assert "tar -x" not in text


def test_the_image_of_a_service_asks_for_provenance():
    build = yaml.safe_load((ROOT / "scripts" / "service-image.yaml").read_text())
    assert build["options"]["requestedVerifyOption"] == "VERIFIED"


def test_the_bot_keeps_all_of_it_up_to_date():
    configuration = json.loads((ROOT / "renovate.json").read_text())
    managers = {"github-actions", "cloudbuild", "pip-compile", "terraform", "npm", "dockerfile", "docker-compose"}
    assert set(configuration["enabledManagers"]) == managers
    assert "helpers:pinGitHubActionDigests" in configuration["extends"]


@pytest.fixture
def osv() -> Iterator[tuple[str, list[dict[str, object]]]]:
    """Play osv.dev, whose answer is one vulnerability of jinja2 2.4.1 (https://google.github.io/osv.dev/post-v1-query)."""
    asked: list[dict[str, object]] = []
    found = {
        "id": "GHSA-462w-v97r-4m45", "aliases": ["CVE-2019-10906"], "summary": "Sandbox escape", "details": "",
        "modified": "2024-01-01T00:00:00Z", "published": "2019-04-10T00:00:00Z",
        "affected": [{
            "package": {"ecosystem": "PyPI", "name": "jinja2"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2.10.1"}]}],
        }],
    }  # fmt: skip

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked.append(body)
            content = json.dumps({"vulns": [found]} if body["package"]["name"] == "jinja2" else {}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_args: object) -> None:
            """Silent."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1/query", asked
    server.shutdown()
    thread.join()
    server.server_close()


def audit(url: str, lock: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    more = {"OSV_URL": url, "LOCKS": str(lock), "AUDIT": str(AUDIT), "CI": ""}
    return subprocess.run(
        [ROOT / "scripts" / "audit"], env=os.environ | more | environment, capture_output=True, text=True, check=False
    )


def test_a_known_vulnerability_fails_the_audit(osv, tmp_path):
    if not AUDIT.exists():
        pytest.skip("the audit is NOT tested: make .venv-audit/.ready brings its tools")
    (tmp_path / "lock.txt").write_text(ONE_PACKAGE)
    url, asked = osv
    done = audit(url, tmp_path / "lock.txt")
    assert (done.returncode, "CVE-2019-10906" in done.stdout) == (1, True), done.stdout + done.stderr
    (tmp_path / "lock.txt").write_text(ONE_PACKAGE.replace("jinja2", "markupsafe"))
    assert audit(url, tmp_path / "lock.txt").returncode == 0
    assert "markupsafe" in str(asked[-1])


def test_an_audit_without_its_database_says_so(tmp_path):
    nowhere = f"http://127.0.0.1:{free_port()}/"
    done = audit(nowhere, tmp_path)
    assert (done.returncode, "NOT AUDITED" in done.stderr) == (0, True)
    assert audit(nowhere, tmp_path, CI="strict").returncode == 1


def test_the_list_of_parts_has_every_pinned_package(tmp_path):
    if not AUDIT.exists():
        pytest.skip("the list of parts is NOT tested: make .venv-audit/.ready brings its tools")
    (tmp_path / "requirements.txt").write_text(
        ONE_PACKAGE.replace("jinja2", "another") + (ROOT / "requirements.txt").read_text()
    )
    subprocess.run(["make", "-s", "sbom", f"SOURCE={tmp_path}", f"DIST={tmp_path}/dist"], cwd=ROOT, check=True)
    listed = json.loads((tmp_path / "dist" / "sbom.json").read_text())
    assert listed["bomFormat"] == "CycloneDX"
    pinned = dict(re.findall(r"^([\w.-]+)==([\w.]+)", (tmp_path / "requirements.txt").read_text(), re.MULTILINE))
    assert {part["name"]: part["version"] for part in listed["components"]} == pinned
