#!/bin/sh
# Installs a server of one's own on Debian: scripts/install.sh install --domain liftlog.example.com. More: --help
# PYTHON names the Python (3.11 or newer) that it, and the server, run on.
set -eu
root=$(cd "$(dirname "$(readlink -f "$0")")/.." && pwd)

if [ -z "${PYTHON:-}" ]; then
  PYTHON=/usr/bin/python3 # Debian's own, which a service can reach
  [ -x "$PYTHON" ] || PYTHON=python3
fi
if ! command -v "$PYTHON" >/dev/null; then
  echo "Error: there is no $PYTHON. Debian: apt-get install python3-venv" >&2
  exit 1
fi
if ! "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
  echo "Error: $("$PYTHON" --version) is too old, 3.11 is needed (Debian 12). Name another one: PYTHON=python3.12 $0 …" >&2
  exit 1
fi
PROGRAM=scripts/install.sh PYTHONPATH=$root PYTHONDONTWRITEBYTECODE=1 exec "$PYTHON" -P -m installation "$@"
