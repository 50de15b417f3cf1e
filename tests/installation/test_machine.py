"""docs/self-hosting.md, typed from its first line on an empty Debian with the real systemd: `make test-machine`.

What cannot be had there: nobody gives a certificate for liftlog.example.com, so Caddy's own authority signs.
"""

import os
import re
import shutil

import pytest

from tests.installation.debian import Debian
from tests.installation.installations import ROOT

PAGE = (ROOT / "docs" / "self-hosting.md").read_text()
NOT_PLAYED = ("nano ",)
TOOLS = ("systemd-nspawn", "mmdebstrap", "nsenter")

pytestmark = pytest.mark.skipif(
    os.environ.get("MACHINE") != "true", reason="SKIPPED: a Debian with systemd takes minutes: make test-machine"
)


def commands(heading):
    """Return what is to be typed below a heading, in order."""
    section = re.split(r"^## ", PAGE, flags=re.MULTILINE)
    (text,) = (part for part in section if part.startswith(f"{heading}\n"))
    lines = re.findall(r"^ {4}(\S.*)$", text, re.MULTILINE)
    return [line for line in lines if not line.startswith(NOT_PLAYED)]


@pytest.fixture(scope="module")
def debian(tmp_path_factory):
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing or os.geteuid() != 0:
        pytest.fail(
            f"this wants root, and {', '.join(missing) or 'nothing else'} (Debian: mmdebstrap, systemd-container)"
        )
    with Debian(tmp_path_factory.mktemp("debian")) as machine:
        yield machine


def typed(debian, heading):
    """Type a section's commands in one shell. Return what was said."""
    script = "\n".join(commands(heading))
    script = re.sub(r"(install --domain \S+)", r"\1 --own-certificates", script)
    outcome = debian.run(script)
    assert outcome.returncode == 0, outcome.stdout[-3000:] + outcome.stderr[-3000:]
    return outcome.stdout


def test_the_page_leads_from_an_empty_server_to_a_phone_and_to_the_end(debian):
    said = typed(debian, "From an empty server to a phone")
    assert "steps went well on https://liftlog.example.com" in said
    key = said.split()[-1]

    assert_is_closed_in(debian)
    sent = debian.run(
        f'head -c 20000000 /dev/urandom | gzip > /tmp/phone.gz; python3 -c "{SEND}" {key}; systemctl start liftlog-dump'
    )
    assert sent.returncode == 0, sent.stderr
    assert "200" in sent.stdout
    journal = debian.run("journalctl -u liftlog -u liftlog-dump -u caddy --no-pager").stdout
    assert '"message":"POST /backup 200"' in journal
    assert "backed up liftlog_user_data" in journal
    assert key not in journal

    debian.run("cd /usr/local/src/liftlog; git config user.email a@b; git config user.name a; git checkout -q -b mine")
    changed = debian.run("cd /usr/local/src/liftlog; echo '# changed' >> shared/paths.py; scripts/install.sh upgrade")
    assert changed.returncode == 0, changed.stdout + changed.stderr
    broken = debian.run(
        "cd /usr/local/src/liftlog; sed -i '1i raise SystemExit(3)' local/serve.py; "
        "scripts/install.sh upgrade || echo failed"
    )
    assert "failed" in broken.stdout
    assert "runs again on the same data" in broken.stderr
    assert "server and database are ready" in debian.run("liftlog status").stdout

    moved = debian.run("liftlog backup moved.dump; liftlog restore moved.dump; liftlog status; liftlog uninstall")
    assert moved.returncode == 0, moved.stdout + moved.stderr
    assert debian.run("systemctl is-active liftlog; test -e /opt/liftlog").returncode != 0
    assert debian.run("test -e /var/lib/liftlog/postgres/PG_VERSION").returncode == 0


SEND = (
    "import ssl, sys, urllib.request as u; "
    "c = ssl.create_default_context(cafile='/etc/liftlog/authority.crt'); "
    "r = u.Request('https://liftlog.example.com/backup?user=ann', open('/tmp/phone.gz', 'rb').read(), "
    "{'X-Api-Key': sys.argv[1], 'Content-Type': 'application/octet-stream'}); print(u.urlopen(r, context=c).status)"
)


def assert_is_closed_in(debian):
    """The sandbox is systemd's own, and everything works in it."""
    status = debian.run("cat /proc/$(systemctl show -p MainPID --value liftlog)/status").stdout
    assert re.search(r"^Seccomp:\s+2$", status, re.MULTILINE)
    assert re.search(r"^NoNewPrivs:\s+1$", status, re.MULTILINE)
    assert re.findall(r"^Cap(?:Eff|Bnd|Prm):\s+0+$", status, re.MULTILINE)
    assert debian.run("systemctl is-enabled liftlog liftlog-dump.timer caddy").returncode == 0
