#!/usr/bin/env bash
# What the scripts share. Sourced, not run.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck disable=SC2034 # the scripts use it
root=$(dirname "$here")
dry_run=false

# The comment at the head of a script is its manual.
usage() {
  sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"
}

say() {
  printf '%s\n' "$*"
}

die() {
  printf 'Error: %s\n' "$*" >&2
  exit 1
}

# Says how a script is used, and ends it: its arguments make no sense.
misused() {
  printf 'Error: %s\n\n' "$*" >&2
  usage >&2
  exit 2
}

# Shows a command that changes something, and runs it unless this is a dry run.
change() {
  say "  \$ $*"
  "$dry_run" || "$@"
}

need() {
  command -v "$1" >/dev/null || die "$1 is needed, and not installed"
}

# Why gcloud failed, from the file of its errors: nobody is logged in, a role or the billing is missing, each with the command
# that mends it. Nothing where what was asked for is simply not there.
cause_of() {
  local cause
  cause=$(cd "$root" && GCP_PROJECT_ID=${GCP_PROJECT_ID:-} python3 -m scripts.remedies <"$1")
  if [ -z "$cause" ] && ! grep -qiE 'not.?found|does not exist|cannot find|404' "$1"; then
    cause=$(grep -v '^$' "$1" | tail -n 1)
  fi
  printf '%s' "$cause"
}

# Runs gcloud for what may not be there: ask "what it means if it is not" gcloud ….
ask() {
  local absent=$1 errors cause
  shift
  errors=$(mktemp)
  if "$@" 2>"$errors"; then
    rm -f "$errors"
    return
  fi
  cause=$(cause_of "$errors")
  rm -f "$errors"
  die "${cause:-$absent}"
}

# The Python with our libraries, which the first `make` brings.
venv_python() {
  [ -x "$root/.venv/bin/python" ] || die "there is no .venv yet: make -C $root .venv/.ready"
  printf '%s' "$root/.venv/bin/python"
}

check_environment() {
  case "$1" in
    staging | production) ;;
    *) misused "the environment is staging or production, not $1" ;;
  esac
}

# The project: GCP_PROJECT_ID, else gcloud's own.
project() {
  local found=${GCP_PROJECT_ID:-$(gcloud config get-value project 2>/dev/null || true)}
  [ -n "$found" ] || die "no project: set GCP_PROJECT_ID, or run gcloud config set project"
  printf '%s' "$found"
}

region() {
  printf '%s' "${REGION:-us-central1}"
}

# Where operators reach the private routes: OPERATOR_URL, else the URL of the operators' gateway.
operator_url() {
  if [ -n "${OPERATOR_URL:-}" ]; then
    printf '%s' "${OPERATOR_URL%/}"
  else
    ask "there is no function liftlog-operator-$1; set OPERATOR_URL" \
      gcloud run services describe "liftlog-operator-$1" --project="$(project)" --region="$(region)" --format='value(status.url)'
  fi
}

# Options of curl, one a line, with which the service is asked at SERVICE_ADDRESS, under its name and with its certificate.
connection() {
  local address=${SERVICE_ADDRESS:-}
  [ -n "$address" ] || return 0
  [[ $address == *:* ]] || address=$address:
  printf '%s\n' --noproxy '*' --connect-to "::$address"
}

# A header that says who we are, for `curl -H @FILE`, so that no process list shows it: OPERATOR_TOKEN, else an identity
# token of gcloud's account. A service account's is made for one address alone; a revision's own URL wants its service's
# (OPERATOR_AUDIENCE).
operator_header() {
  local token=${OPERATOR_TOKEN:-}
  if [ -z "$token" ] && command -v gcloud >/dev/null; then
    token=$(gcloud auth print-identity-token --audiences="${OPERATOR_AUDIENCE:-$1}" 2>/dev/null) ||
      token=$(gcloud auth print-identity-token 2>/dev/null) || token=
  fi
  [ -z "$token" ] || printf 'Authorization: Bearer %s\n' "$token"
}

# A field of a JSON file.
field() {
  python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' "$1" "$2" 2>/dev/null
}

# The id of a secret that exists.
secret_id() {
  ask "there is no secret $1-$2: terraform apply makes them all" \
    gcloud secrets describe "$1-$2" --project="$(project)" --format='value(name)' >/dev/null
  printf '%s' "$1-$2"
}

# A secret's value, from standard input; a terminal is asked, and shows nothing.
read_secret() {
  local value
  if [ -t 0 ]; then
    read -r -s -p "Value of $1: " value
    printf '\n' >&2
  else
    value=$(cat)
  fi
  [ -n "$value" ] || die "standard input holds no value"
  printf '%s' "$value"
}

# Adds a version through standard input, and prints its number.
add_version() {
  say "  \$ gcloud secrets versions add $1 --data-file=-" >&2
  if "$dry_run"; then
    return
  fi
  local name
  name=$(printf '%s' "$2" |
    gcloud secrets versions add "$1" --project="$(project)" --data-file=- --format='value(name)' --quiet) ||
    die "$1 has no new version"
  printf '%s' "${name##*/}"
}

# Gives the database's user the password that Secret Manager holds, where there is one: a restored backup has brought its own
# back. No process list shows it.
set_database_password() {
  local secret=database-password-$1 password
  local errors cause
  errors=$(mktemp)
  if ! gcloud secrets describe "$secret" --project="$(project)" --format='value(name)' >/dev/null 2>"$errors"; then
    cause=$(cause_of "$errors")
    rm -f "$errors"
    [ -z "$cause" ] || die "$cause"
    say "   there is no $secret: functions log in by IAM"
    return
  fi
  rm -f "$errors"
  say "  \$ gcloud sql users set-password liftlog_backend --instance=$(instance "$1") --password=…"
  if "$dry_run"; then
    return
  fi
  password=$(gcloud secrets versions access latest --secret="$secret" --project="$(project)") ||
    die "the newest version of $secret cannot be read"
  printf '%s' "$password" | python3 -c 'import json, sys; print(json.dumps({"--password": sys.stdin.read()}))' |
    gcloud sql users set-password liftlog_backend --instance="$(instance "$1")" --project="$(project)" --quiet \
      --flags-file=/dev/stdin
}

instance() {
  printf 'liftlog-user-data-%s' "$1"
}
