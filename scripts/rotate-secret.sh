#!/usr/bin/env bash
# Usage: scripts/rotate-secret.sh staging|production NAME URL [--generate] [--wait SECONDS] [--dry-run] < FILE
#
# Replaces a secret in five steps, and stops when the service at URL is not well:
#
#   1  note the versions that are in use
#   2  add the new one, from standard input, or made here (--generate)
#   3  wait until all functions have read it: SECRET_TTL_SECONDS, and half a minute more
#   4  verify with smoke.sh and watch.sh
#   5  disable the old ones
#
# If step 4 fails the new version is disabled, so that functions go back to the old one within the same time.
# chat-token-key is kept beside its predecessor, which signs chats that are open now; rotate once more to forget it.
# The database's password is not rotated here: terraform apply -var database_password_version=N sets both sides at once.
#
#   --generate        make a value of 64 random hexadecimal digits
#   --wait SECONDS    how long functions use what they have read (330)
#   --dry-run         check everything, change nothing
set -euo pipefail
source "$(dirname "$0")/lib.sh"

words=()
generate=false
wait_seconds=330
while [ $# -gt 0 ]; do
  case "$1" in
    --help) usage; exit ;;
    --generate) generate=true ;;
    --wait) wait_seconds=${2:?--wait needs a number of seconds}; shift ;;
    --dry-run) dry_run=true ;;
    -*) misused "unknown option $1" ;;
    *) words+=("$1") ;;
  esac
  shift
done
[ ${#words[@]} -eq 3 ] || misused "an environment, a secret's name and the service's URL are needed"
environment=${words[0]} url=${words[2]}
check_environment "$environment"
[ "${words[1]}" != database-password ] ||
  die "the database's password has two sides: terraform apply -var database_password_version=N changes both"
need gcloud
secret=$(secret_id "${words[1]}" "$environment")

say "1  the versions in use"
in_use=$(gcloud secrets versions list "$secret" --project="$(project)" --filter=state=ENABLED --format='value(name)')
say "   $secret: ${in_use//$'\n'/, }"

say "2  the new version"
if "$generate"; then
  value=$(python3 -c 'import secrets; print(secrets.token_hex(32))')
else
  value=$(read_secret "$secret")
fi
if [ "${words[1]}" = chat-token-key ] && [ -n "$in_use" ]; then
  old=$(gcloud secrets versions access latest --secret="$secret" --project="$(project)")
  value="$value,${old%%,*}"
fi
new=$(add_version "$secret" "$value")
unset value old

say "3  waiting $wait_seconds s: functions use what they have read for so long"
"$dry_run" || sleep "$wait_seconds"

say "4  verifying"
if ! "$dry_run" && ! { "$here/smoke.sh" "$url" --environment="$environment" && "$here/watch.sh" "$environment" 0; }; then
  say "The service is not well with the new value: back to the old one"
  change gcloud secrets versions disable "$new" --secret="$secret" --project="$(project)" --quiet
  die "stopped. $secret is what it was; functions notice within $wait_seconds s"
fi

say "5  disabling the old versions"
for version in $in_use; do
  change gcloud secrets versions disable "$version" --secret="$secret" --project="$(project)" --quiet
done
say "$secret is rotated"
