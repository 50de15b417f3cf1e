"""The runbook is true: what it names exists, and scripts, make, Terraform and gcloud understand its commands."""

import ast
import os
import re
import runpy
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from shared.service_levels import SERVICE_LEVELS

ROOT = Path(__file__).parent.parent
RUNBOOK = ROOT / "docs" / "runbook.md"
DOCUMENTS = [
    RUNBOOK,
    ROOT / "MIGRATION_ROADMAP.md",
    ROOT / "docs" / "deployment.md",
    ROOT / "docs" / "infrastructure.md",
    ROOT / "docs" / "operations.md",
    *sorted((ROOT / "docs" / "playbooks").glob("*.md")),
]
FOLDERS = "scripts|tests|docs|terraform|functions|shared|local|migrations"
ORIGINAL_SECTIONS = {  # of the runbook of the original backend
    "Pre-Deployment Checklist": ["Code Quality", "Infrastructure", "Documentation", "Communication"],
    "Initial Deployment": [
        "Prepare GCP Environment", "Create Secrets", "Deploy Infrastructure with Terraform", "Run Database Migrations",
        "Verify Deployment", "Configure Monitoring",
    ],
    "Routine Deployment": [
        "Quick Deployment", "Manual Deployment (GitHub Actions)", "Post-Deployment Verification",
    ],
    "Rollback Procedures": ["Automatic Rollback", "Manual Rollback", "Rollback Decision Tree"],
    "Monitoring and Alerting": ["Key Metrics to Monitor", "Monitoring Dashboards", "Alert Policies", "Log Monitoring"],
    "Troubleshooting Guide": [
        "Service Won't Start", "High Error Rate (5xx)", "Slow Response Times", "Database Connection Pool Exhausted",
    ],
    "Incident Response": ["Severity Levels", "Incident Response Procedure", "Communication Template"],
    "Maintenance Procedures": [
        "Database Backup and Restore", "Rotating Secrets", "Scaling Operations", "Cleanup Tasks",
    ],
    "Deployment Checklist": ["Before Deployment", "During Deployment", "After Deployment"],
    "Additional Resources": [],
}  # fmt: skip
documents = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.stem)


def text_of(document: Path) -> str:
    """What a person reads of it, each command that goes over several lines on one."""
    return document.read_text().replace("\\\n", " ")


def commands_of(document: Path, word: str) -> list[str]:
    """The commands that begin with a word, in blocks and between backticks; without comments and what is piped on."""
    blocks = re.findall(rf"^ {{4}}(?:.*[|&$(] ?)?({word}[ /].*)$", text_of(document), re.MULTILINE)
    inline = re.findall(rf"`({word}[ /][^`]+)`", text_of(document))
    return [re.split(r"\s+#\s|\s{4,}#| \| ", command)[0] for command in blocks + inline]


def flags_of(command: str) -> set[str]:
    """The flags of a command, outside of quotes."""
    return set(re.findall(r"(?<=\s)(--[a-z0-9-]+)", re.sub(r"'[^']*'|\"(?:\\.|[^\"])*\"", "''", command)))


@cache
def functions_of(path: Path) -> set[str]:
    return {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)}


@documents
def test_every_file_that_it_names_exists(document):
    for name in re.findall(rf"(?<![\w/.-])((?:{FOLDERS})/[\w./-]*\w)", text_of(document)):
        assert (ROOT / name).exists() or name.endswith(".tfvars"), name  # those are an operator's own
    for name in re.findall(r"`(\w+\.(?:md|yaml|toml))`", text_of(document)):
        assert (ROOT / name).exists(), name


@documents
def test_every_test_that_it_names_exists(document):
    for path, name in re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", text_of(document)):
        assert name in functions_of(ROOT / path), f"{path}::{name}"


@documents
def test_every_make_target_that_it_names_exists(document):
    targets = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:`|^ {4})(?:[A-Z_]+=\S+ )*make ([a-z-]+)", text_of(document), re.MULTILINE)) <= targets


@documents
def test_every_output_of_terraform_that_it_names_exists(document):
    outputs = set(re.findall(r'^output "(\w+)"', (ROOT / "terraform" / "outputs.tf").read_text(), re.MULTILINE))
    for command in re.findall(r"terraform (?:-chdir=terraform )?output (?:-raw )?(\w+)", text_of(document)):
        assert command in outputs


@cache
def help_of(script: str) -> str:
    return subprocess.run([ROOT / script, "--help"], capture_output=True, text=True, check=True).stdout


@documents
def test_every_script_understands_its_arguments(document):
    for command in commands_of(document, "scripts"):
        script = command.split()[0]
        if not os.access(ROOT / script, os.X_OK) or not re.fullmatch(r"scripts/[\w-]+(\.sh)?", script):
            continue  # a module, or a folder
        for flag in flags_of(command):
            assert flag in help_of(script), f"{script} knows no {flag}"


@cache
def gcloud_commands() -> dict[str, Any]:
    """The commands and flags of the gcloud that is installed, as its completion knows them."""
    found = shutil.which("gcloud")
    for folder in Path(found).resolve().parents if found else ():
        completions = folder / "data" / "cli" / "gcloud_completions.py"
        if completions.exists():
            commands: dict[str, Any] = runpy.run_path(str(completions))["STATIC_COMPLETION_CLI_TREE"]
            return commands
    reason = "THE RUNBOOK'S gcloud COMMANDS ARE NOT CHECKED: there is no gcloud"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@documents
def test_gcloud_knows_every_command_and_flag(document):
    commands = commands_of(document, "gcloud")
    for command in commands:
        node, known = gcloud_commands(), set(gcloud_commands()["flags"])
        for word in command.split()[1:]:
            if word not in node["commands"]:
                break
            node = node["commands"][word]
            known |= set(node["flags"])
        assert not node["commands"], f"{command}: a group, not a command"
        hidden = {"--gen2", "--no-traffic"}
        assert flags_of(command) <= known | hidden, f"{command}: {flags_of(command) - known - hidden}"


def test_the_documents_hold_commands():
    """So that the tests above do not pass because they find none."""
    assert len(commands_of(RUNBOOK, "gcloud")) > 30
    assert len(commands_of(RUNBOOK, "scripts")) > 50


def test_the_table_of_key_metrics_is_the_code_s():
    row = r"^\| [^|]+ \| ([<>≥]) ([\d.]+)[^|]* \| ([<>]) ([\d.]+)[^|]*? for (\d+) s \|"
    rows = re.findall(row, RUNBOOK.read_text(), re.MULTILINE)
    assert rows == [
        ("≥" if level.higher_is_better else "<", f"{level.normal:g}", "<" if level.higher_is_better else ">",
         f"{level.alert:g}", f"{level.alert_seconds:g}")
        for level in SERVICE_LEVELS
    ]  # fmt: skip


def appendix(part: int = 0) -> dict[str, str]:
    """What performs each section of the original (0), or what is here and not there (1)."""
    text = RUNBOOK.read_text().partition("## Appendix")[2].split("### What is here and not there")[part]
    return dict(re.findall(r"^\| ([A-Z][^|]*) \| ([^|]*) \|$", text, re.MULTILINE))


def test_the_appendix_covers_every_section_of_the_original():
    expected = {f"{chapter}: {section}" for chapter, sections in ORIGINAL_SECTIONS.items() for section in sections} | {
        chapter for chapter, sections in ORIGINAL_SECTIONS.items() if not sections
    }
    assert set(appendix()) == expected


def test_the_appendix_names_a_test_or_the_reason_why_there_is_none():
    for section, what in [*appendix().items(), *appendix(1).items()]:
        named = re.search(r"`tests/[\w/]+\.py(::test_\w+)?`", what)
        assert named or re.search(r"only (people|a project|GitHub) can|as the pre-deployment checklist", what), section


def test_the_chapters_of_the_original_are_chapters_here():
    chapters = {line[3:].lower() for line in RUNBOOK.read_text().splitlines() if line.startswith("## ")}
    assert {chapter.lower() for chapter, sections in ORIGINAL_SECTIONS.items() if sections} <= chapters


def test_every_box_that_a_program_can_tick_names_its_command():
    """The others are for people: talk, approval, judgement."""
    by_people = re.compile(
        r"team|window|those who depend|approved|says what|still holds|up to date|read$|what they were"
    )
    for box in re.findall(r"^- \[ \] (.*)$", RUNBOOK.read_text(), re.MULTILINE):
        assert re.search(r"`(make|scripts/|terraform|/metrics)", box) or by_people.search(box), box
