#!/usr/bin/env bash
# Usage: scripts/secret.sh staging|production NAME [--dry-run] < FILE
#
# Adds a version to a secret (openai-api-key, web-auth-api-key, google-play-email, google-play-key, revenuecat-api-key,
# apple-shared-secret, chat-token-key, operator-token) from standard input, never from an argument, which other users of
# the machine would see. On a terminal it asks, and shows nothing. Functions use the new version within
# SECRET_TTL_SECONDS (300). google-play-key is the base64 of the JSON key: base64 < key.json | scripts/secret.sh …
#
#   --dry-run   check everything, add nothing
#
# To replace a value that is in use: scripts/rotate-secret.sh.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

words=()
for word in "$@"; do
  case "$word" in
    --help) usage; exit ;;
    --dry-run) dry_run=true ;;
    -*) misused "unknown option $word" ;;
    *) words+=("$word") ;;
  esac
done
[ ${#words[@]} -eq 2 ] || misused "an environment and a secret's name are needed; its value comes on standard input"
check_environment "${words[0]}"
need gcloud
secret=$(secret_id "${words[1]}" "${words[0]}")
value=$(read_secret "$secret")
number=$(add_version "$secret" "$value")
"$dry_run" || say "$secret has version $number; functions use it within five minutes"
