#!/usr/bin/env bash
# Usage: scripts/deploy.sh staging|production TAG [--dist DIR] [--watch-minutes N] [--dry-run]
#
# Releases the code of a version. TAG is a git tag, and its code is what is packaged, whatever else lies in the working
# tree; in staging it may also be "latest", the working tree as it is. The database is migrated first; functions whose
# package changed get a new revision without traffic; when smoke.sh finds them well they get 10 % of the traffic, and
# after watch.sh has seen no errors for N minutes (5) all of it. If anything fails the traffic goes back.
# An interrupted run can be started again, or taken back with rollback.sh.
#
#   --dist DIR          release the packages in DIR, as `make package` left them, and package nothing
#   --watch-minutes N   how long the 10 % are watched; 0, not at all, is for a fix of what is alarming already
#   --dry-run           look at everything, change nothing
#
# GCP_PROJECT_ID, REGION (us-central1); SERVICE_URL where a load balancer stands in front (terraform output service_url).
# SERVICE_ADDRESS: ask that address under that name, before DNS leads there (terraform output load_balancer_address).
set -euo pipefail
source "$(dirname "$0")/lib.sh"

dist=
options=()
words=()
while [ $# -gt 0 ]; do
  case "$1" in
    --help) usage; exit ;;
    --dry-run) options+=(--dry-run) ;;
    --dist) dist=${2:?--dist needs a folder}; shift ;;
    --watch-minutes) options+=(--watch-minutes "${2:?--watch-minutes needs a number}"); shift ;;
    -*) misused "unknown option $1" ;;
    *) words+=("$1") ;;
  esac
  shift
done
[ ${#words[@]} -eq 2 ] || misused "an environment and a tag are needed"
environment=${words[0]} tag=${words[1]}
check_environment "$environment"
if [ "$environment" = production ] && [ "$tag" = latest ]; then
  die "production takes a version like v1.2.3, not latest: what runs there must be nameable"
fi
need gcloud
need python3

if [ -z "$dist" ]; then
  scratch=$(mktemp -d)
  trap 'rm -rf "$scratch"' EXIT
  dist=$scratch/dist
  source_tree=$root
  if [ "$tag" != latest ]; then
    git -C "$root" rev-parse --quiet --verify "$tag^{commit}" >/dev/null || die "git knows no tag $tag"
    source_tree=$scratch/source
    mkdir "$source_tree"
    git -C "$root" archive "$tag" | tar -x -C "$source_tree"
  fi
  make -s -C "$root" sbom SOURCE="$source_tree" DIST="$dist" || say "The list of what the packages hold cannot be made"
  say "Packaging $tag"
  python=$(venv_python) || exit 1
  (cd "$root" && "$python" -m scripts.package --root "$source_tree" --target "$dist")
fi

dist=$(realpath "$dist")
cd "$root"
python3 -m scripts.release deploy "$environment" "$tag" --dist "$dist" ${options[@]+"${options[@]}"}
