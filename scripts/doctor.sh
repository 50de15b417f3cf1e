#!/usr/bin/env bash
# Usage: scripts/doctor.sh staging|production
#
# Looks at everything that a running service needs, and says of each thing in one line whether it is well, and if not,
# why and what to do: project, database, secrets, permissions, settings, functions, what the logs say of start-ups (a
# database, a secret, a variable, an import), the load balancer, the cleanup, and whether there is a release to roll back
# to. The lines are boxes for the checklists of docs/runbook.md. It changes nothing; it fails if a box stays empty.
#
# GCP_PROJECT_ID, REGION (us-central1); SERVICE_URL where a load balancer stands in front (terraform output service_url).
# SERVICE_ADDRESS: ask that address under that name, before DNS leads there (terraform output load_balancer_address).
set -euo pipefail
source "$(dirname "$0")/lib.sh"

[ "${1:-}" != --help ] || { usage; exit; }
[ $# -eq 1 ] || misused "an environment is needed"
check_environment "$1"
need gcloud
need curl
python=$(venv_python) || exit 1
cd "$root"
exec "$python" -m scripts.doctor "$1"
