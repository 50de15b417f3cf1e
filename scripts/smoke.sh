#!/usr/bin/env bash
# Usage: scripts/smoke.sh URL [--environment=staging|production]
#
# Tries a service as its users do: health, metrics, a new account, a write and a read. The account is deleted again.
# /metrics is private: with --environment it is asked of the operators' gateway, else of URL.
#
# SERVICE_ADDRESS (an address, or address:port) is asked instead of where DNS says that URL is: before a name is moved.
# OPERATOR_TOKEN, or gcloud's account, says who asks for the metrics; OPERATOR_URL is another place to ask them.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

url=
environment=
for word in "$@"; do
  case "$word" in
    --help) usage; exit ;;
    --environment=*) environment=${word#*=}; check_environment "$environment" ;;
    -*) misused "unknown option $word" ;;
    *) [ -z "$url" ] || misused "one URL is enough"; url=${word%/} ;;
  esac
done
[ -n "$url" ] || misused "a URL is needed"
need curl
need python3

answer=$(mktemp)
account=
delete_account() {
  if [ -n "$account" ]; then
    [ "$(printf '%s' "$account" | request POST "$url/user/delete")" = 200 ] ||
      say "The account $id could not be deleted: its password is lost, and it does no harm"
  fi
}
trap 'delete_account; rm -f "$answer"' EXIT

# Sends standard input, stores the answer, prints the status.
request() {
  local there=()
  if [[ $2 == "$url"* ]]; then mapfile -t there < <(connection); fi
  curl --silent --show-error --max-time 60 --request "$1" --header 'Content-Type: application/json' "${@:3}" \
    --data-binary @- --output "$answer" --write-out '%{http_code}' ${there[@]+"${there[@]}"} "$2"
}

expect() {
  [ "$2" = "$3" ] || die "$1 answered $2 instead of $3: $(head -c 300 "$answer")"
  say "ok   $1 $2"
}

status=$(request GET "$url/health" </dev/null) || die "nothing answers at $url"
expect "GET /health" "$status" 200
[ "$(field "$answer" status)" = ok ] || die "GET /health does not say ok: $(head -c 300 "$answer")"
expect "GET /health/ready" "$(request GET "$url/health/ready" </dev/null)" 200

metrics=$url
[ -z "$environment" ] || metrics=$(operator_url "$environment")
status=$(request GET "$metrics/metrics/summary" --header @<(operator_header "$metrics") </dev/null)
expect "GET /metrics/summary" "$status" 200
field "$answer" total_requests >/dev/null || die "GET /metrics/summary counts no requests: $(head -c 300 "$answer")"

status=$(printf '{}' | request POST "$url/v2/user/create")
expect "POST /v2/user/create" "$status" 200
id=$(field "$answer" user_id) || die "POST /v2/user/create gives no user_id"
password=$(field "$answer" password) || die "POST /v2/user/create gives no password"
account="{\"id\": \"$id\", \"password\": \"$password\"}"

key=$(printf 'smoke test %s' "$id" | base64 | tr -d '\n')
profile="{\"id\": \"$id\", \"password\": \"$password\", \"encryptionIV\": \"AAAAAAAAAAAAAAAAAAAAAA==\", \"rsaPublicKey\": \"$key\"}"
status=$(printf '%s' "$profile" | request PUT "$url/user")
expect "PUT /user" "$status" 200
expect "GET /user/{id}" "$(request GET "$url/user/$id" </dev/null)" 200
[ "$(field "$answer" rsaPublicKey)" = "$key" ] || die "GET /user/{id} does not give what PUT /user stored"

deletion=$account
account=
status=$(printf '%s' "$deletion" | request POST "$url/user/delete")
expect "POST /user/delete" "$status" 200
expect "GET /user/{id} afterwards" "$(request GET "$url/user/$id" </dev/null)" 404
say "$url is well"
