#!/bin/sh
# One call through the gate with curl, and a refusal told from data.
# DIR: where certs/ is. TOKEN: a purpose token. GATE: the gate's address.
set -eu
gate="${GATE:-https://localhost:8443}"
answer="$(mktemp)"
trap 'rm -f "$answer"' EXIT

status="$(curl --silent --show-error --max-time 30 --output "$answer" --write-out '%{http_code}' \
    --cacert "$DIR/certs/ca.pem" \
    --cert "$DIR/certs/clients/minzheng-aid.pem" --key "$DIR/certs/clients/minzheng-aid.key" \
    --header "Authorization: Bearer $TOKEN" \
    "$gate/population/residents?area=${AREA:-341091}&size=2")"

# What curl itself could not do has ended the script: no connection, no handshake, a reply that broke off.
if [ "$status" != 200 ]; then
    cat "$answer" >&2
    exit 1
fi
echo "$status"
cat "$answer"
