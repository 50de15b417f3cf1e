"""What `gcloud builds submit` takes along, as gcloud lists it: what git has, and no file that somebody left lying."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.scripts.fake_cloud import FakeCloud, needs_gcloud, run

ROOT = Path(__file__).parent.parent.parent
LEFT_LYING = (
    ".env", "original.dump", "backups/liftlog-1.dump", "bench/users.sql", "dump.sql", "tests/users.csv",
    "service-account-key.json", "terraform/credentials.json", "scripts/key.pem", "shared/.env",
    "functions/.env.local", "terraform/terraform.tfstate", "staging.tfplan", "terraform/staging.tfplan",
    "privkey.pem", "a.bak",
    ".venv/lib/a.py", "tests/signalr/node_modules/a/index.js", "shared/__pycache__/a.pyc",
    "dist/user.zip", ".git/config",
    "terraform/.terraform/modules/a.tf", "functions/user/notes.txt", "new-key",
)  # fmt: skip


def tracked():
    listed = subprocess.run(["git", "-C", ROOT, "ls-files", "-z"], capture_output=True, text=True, check=True).stdout
    return {name for name in listed.split("\0") if name and (ROOT / name).exists()}


@pytest.fixture
def tree(tmp_path):
    """Return a copy of what git knows, with everything beside it that must not leave the machine."""
    tree = tmp_path / "tree"
    for name in tracked():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tree / name)
    for name in LEFT_LYING:
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text("secret")
    (tree / "terraform" / "staging.tfvars").write_text("# needed, and nothing in it is secret")
    return tree


def test_what_is_uploaded_is_what_git_has_and_no_secret(tree, tmp_path):
    needs_gcloud()
    with FakeCloud() as cloud:
        listed = run(cloud, tmp_path, "gcloud", "meta", "list-files-for-upload", tree)
    assert listed.returncode == 0, listed.stderr
    uploaded = set(listed.stdout.split("\n")) - {""}
    assert uploaded & set(LEFT_LYING) == set()
    assert uploaded == tracked() | {"terraform/staging.tfvars"}
