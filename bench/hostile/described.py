"""Schemathesis: what docs/openapi.json allows and forbids, and whether the answers are those that it describes."""

import json
import subprocess
import tempfile
from base64 import b64decode
from pathlib import Path

from bench.hostile.requests import WEB_KEY
from bench.hostile.tallies import Tally
from bench.servers import ROOT, DidNotStart

PROGRAM = ROOT / ".venv-hostile" / "bin" / "schemathesis"
DESCRIPTION = ROOT / "docs" / "openapi.json"
CHECKS = "status_code_conformance,content_type_conformance,response_schema_conformance"
MORE_SECONDS = 120.0  # to end by itself
HELD, FELL = 0, 1  # its statuses after a run


def attack(port: int, seconds: float, _request_count: int) -> Tally:
    """Run it for some time. Answers that are not as described are counted as faults, too."""
    with tempfile.TemporaryDirectory(prefix="liftlog-hostile-") as folder:
        report = Path(folder) / "report.ndjson"
        summary = Path(folder) / "report.json"
        ended = subprocess.run(
            [
                str(PROGRAM), "run", str(DESCRIPTION), "--url", f"http://127.0.0.1:{port}", "--max-time",
                str(round(seconds)), "--workers", "4", "--checks", CHECKS, "--continue-on-failure", "--no-shrink",
                "--request-timeout", "30", "--header", f"Authorization: Web {WEB_KEY}", "--report", "ndjson,json",
                "--report-ndjson-path", str(report), "--report-json-path", str(summary),
            ],
            cwd=folder, check=False, capture_output=True, timeout=seconds + MORE_SECONDS,
        )  # fmt: skip
        if ended.returncode not in {HELD, FELL}:
            raise DidNotStart(f"{PROGRAM.name}: {ended.stderr.decode()[-500:]}")
        tally = _tally(report)
        for failure in json.loads(summary.read_text())["failures"]:
            tally.fault_count += failure["count"]
            tally.faults.append(f"not as described: {failure['title']}, {', '.join(failure['operations'])}")
    return tally


def _tally(report: Path) -> Tally:
    tally = Tally()
    with report.open() as lines:
        for line in lines:
            finished = json.loads(line).get("ScenarioFinished") or {}
            recorder = finished.get("recorder") or {}
            for interaction in (recorder.get("interactions") or {}).values():
                _note(tally, interaction["request"], interaction["response"])
    return tally


def _note(tally: Tally, request: dict[str, object], response: dict[str, object] | None) -> None:
    about = f"{request['method']} {request['uri']} {request.get('body')}".encode()
    if response is None:
        tally.note_hang(about)
        return
    status = response["status_code"]
    headers = "".join(f"\r\n{name}: x" for name in response["headers"])  # type: ignore[attr-defined]
    content = response["content"]
    body = b64decode(content["$base64"]) if isinstance(content, dict) else b""
    tally.note(about, int(str(status)), headers.encode() + b"\r\n\r\n" + body)
