"""The pipelines: valid for their schemas, in the right order, and made of scripts that exist and are sound."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent.parent
BIN = Path(sys.executable).parent
BUILD = yaml.safe_load((ROOT / "cloudbuild.yaml").read_text())
STEPS = {step["id"]: step for step in BUILD["steps"]}
WORKFLOWS = {path.stem: yaml.safe_load(path.read_text()) for path in (ROOT / ".github" / "workflows").glob("*.yml")}
PROVIDED = {"PROJECT_ID"}  # by Cloud Build itself


def before(step: str) -> set[str]:
    """Return the steps that have ended when a step begins."""
    direct = set(STEPS[step].get("waitFor", []))
    return direct.union(*(before(other) for other in direct))


@pytest.mark.parametrize(
    ("schema", "file"),
    [
        ("vendor.cloudbuild", "cloudbuild.yaml"),
        ("vendor.cloudbuild", "scripts/service-image.yaml"),
        ("vendor.github-workflows", ".github/workflows/ci.yml"),
        ("vendor.github-workflows", ".github/workflows/deploy.yml"),
        ("custom.github-workflows-require-timeout", ".github/workflows/ci.yml"),
        ("custom.github-workflows-require-timeout", ".github/workflows/deploy.yml"),
    ],
)
def test_a_pipeline_is_valid(schema, file):
    done = subprocess.run(
        [BIN / "check-jsonschema", "--builtin-schema", schema, ROOT / file], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_nothing_is_changed_before_everything_is_checked():
    assert {"lint", "test", "package"} <= before("pin")
    assert {"pin"} <= before("plan")  # an update sends the traffic that the plan has read
    assert {"plan", "review"} <= before("apply")
    assert {"apply"} <= before("release")
    assert "scripts/deploy.sh" in STEPS["release"]["script"]
    assert [step for step, entry in STEPS.items() if "terraform apply" in entry["script"]] == ["apply"]


def test_every_substitution_is_defined_and_used():
    text = (ROOT / "cloudbuild.yaml").read_text().partition("\nsteps:")[2]
    used = set(re.findall(r"\$(_[A-Z_]+)", text))
    assert used == set(BUILD["substitutions"])
    assert set(re.findall(r"\$\{?([A-Z][A-Z_]+)\b", text)) - {"SERVICE_URL"} <= PROVIDED
    assert all(isinstance(value, str) for value in BUILD["substitutions"].values())


def scripts():
    for step, entry in STEPS.items():
        yield f"cloudbuild {step}", entry["script"]
    for name, workflow in WORKFLOWS.items():
        for job in workflow["jobs"].values():
            for number, step in enumerate(job["steps"]):
                if "run" in step:
                    yield f"{name} {number}", "#!/usr/bin/env bash\nset -eo pipefail\n" + step["run"]


@pytest.mark.parametrize(("name", "script"), list(scripts()), ids=lambda value: value if len(value) < 40 else "")
def test_its_shell_is_sound(name, script):
    done = subprocess.run(
        [BIN / "shellcheck", "--exclude=SC2153", "-"], input=script, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    for mentioned in re.findall(r"\bscripts/[\w.-]+", script):
        assert (ROOT / mentioned).exists(), mentioned
    for module in re.findall(r"-m (scripts\.\w+)", script):
        assert (ROOT / f"{module.replace('.', '/')}.py").exists(), module
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"\bmake ([a-z]+)", script):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


@pytest.mark.parametrize(
    ("environment", "tag", "passes"),
    [
        ("staging", "latest", True), ("staging", "v1.2.3", True), ("production", "v1.2.3", True),
        ("production", "latest", False), ("production", "main", False), ("test", "v1.2.3", False),
    ],
)  # fmt: skip
def test_the_first_step_refuses_what_must_not_be_deployed(tmp_path, environment, tag, passes):
    (tmp_path / "terraform").mkdir()
    (tmp_path / "terraform" / f"{environment}.tfvars").touch()
    done = subprocess.run(
        ["bash", "-c", STEPS["check"]["script"]], cwd=tmp_path, capture_output=True, check=False,
        env={"_ENVIRONMENT": environment, "_TAG": tag, "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert (done.returncode == 0) == passes


def test_the_workflow_is_the_deployment_by_hand():
    """The same build, with environment and tag; no key, but the workflow's own identity."""
    workflow = WORKFLOWS["deploy"]
    assert workflow["name"] == "Python Backend Deploy"
    inputs = workflow[True]["workflow_dispatch"]["inputs"]  # YAML 1.1 reads the key `on` as true
    assert set(inputs) == {"environment", "tag"}
    assert inputs["environment"]["options"] == ["staging", "production"]
    (job,) = workflow["jobs"].values()
    assert job["permissions"] == {"contents": "read", "id-token": "write"}
    assert "secrets." not in (ROOT / ".github" / "workflows" / "deploy.yml").read_text()
    assert "credentials_json" not in str(job)
    deploy = job["steps"][-1]["run"]
    by_hand = re.search(r"#   (gcloud builds submit .*)", (ROOT / "cloudbuild.yaml").read_text())
    assert by_hand is not None
    assert by_hand[1].startswith("gcloud builds submit . --config=cloudbuild.yaml")
    assert "gcloud builds submit ." in deploy
    assert "--config=cloudbuild.yaml" in deploy
    given = dict(pair.split("=") for pair in re.findall(r'--substitutions="([^"]+)"', deploy)[0].split(","))
    assert given == {"_ENVIRONMENT": "$ENVIRONMENT", "_TAG": "$TAG", "_REGION": "$REGION"}
    assert set(given) <= set(BUILD["substitutions"])


def test_inputs_never_become_part_of_a_script():
    for workflow in WORKFLOWS.values():
        for job in workflow["jobs"].values():
            assert not any("${{" in step.get("run", "") for step in job["steps"])


def test_ci_runs_what_the_readme_tells():
    (job,) = WORKFLOWS["ci"]["jobs"].values()
    tools, *commands = [step["run"] for step in job["steps"] if "run" in step]
    assert tools.endswith(" caddy")  # the runner has the others that the README names
    assert commands == ["make lint", "make test", "make audit"]
