#!/bin/sh
# The story of docs/story.md, with curl, against a running ./fhir-server serve --demo. Each step says what it checks;
# the first one that is not as told ends the script with 1.
#
#   docs/story.sh [BASE]
#
# BASE              the server, http://127.0.0.1:8080/fhir unless told
# FHIR_SERVER       the command that makes tokens, ./fhir-server unless told
# FHIR_DATA_FOLDER  the data folder of the server, where it is not the usual one
set -eu

base=${1:-http://127.0.0.1:8080/fhir}
here=$(cd -- "$(dirname -- "$0")" && pwd)
fhir_server=${FHIR_SERVER:-$here/../fhir-server}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
    printf 'NOT AS TOLD: %s\n' "$*" >&2
    [ ! -s "$work/body" ] || head -c 600 "$work/body" >&2
    exit 1
}

# as ACTOR METHOD PATH [CURL OPTIONS]: ask; the status goes to $status, the body to $work/body, headers to $work/head.
as() {
    actor=$1 method=$2 path=$3
    shift 3
    if [ ! -s "$work/token-$actor" ]; then
        "$fhir_server" token "$actor" >"$work/said" || fail "no token for $actor"
        tail -n 1 "$work/said" >"$work/token-$actor"
    fi
    : >"$work/body"
    status=$(curl -sS -X "$method" -o "$work/body" -D "$work/head" -w '%{http_code}' \
        -H "Authorization: Bearer $(cat "$work/token-$actor")" "$@" "$base/$path") || fail "no answer from $base"
}

expect() { [ "$status" = "$1" ] || fail "$actor: $method $path answered $status instead of $1"; }
shows() { grep -qF -- "$1" "$work/body" || fail "$actor: $method $path does not show $1"; }
hides() { ! grep -qF -- "$1" "$work/body" || fail "$actor: $method $path shows $1"; }
check() { printf '    ok  %s\n' "$*"; }
step() { printf '\n%s\n' "$*"; }

# The id that the server gave to what was just created.
created_id() { sed -n 's|^[Ll]ocation: .*/\([^/]*\)/_history/.*|\1|p' "$work/head" | tr -d '\r'; }

# looks_absent ACTOR TYPE ID: reading it answers, byte for byte but for the id, as an id that nothing has.
looks_absent() {
    nothing=$(printf '%s' "$3" | tr '0-9a-f' '1-9a-f0')
    as "$1" GET "$2/$nothing" && expect 404
    sed "s/$nothing/ID/g" "$work/body" >"$work/absent"
    as "$1" GET "$2/$3" && expect 404
    sed "s/$3/ID/g" "$work/body" >"$work/hidden"
    cmp -s "$work/absent" "$work/hidden" || fail "$1 can tell the hidden $2 from an absent one"
}

# traced RPPS: one trace in the last answer names both this professional and the document.
traced() {
    tr '\n' ' ' <"$work/body" | awk -v who="\"$1\"" -v what="DocumentReference/$document" '
        { count = split($0, trace, /\{"fullUrl":/)
          for (i = 2; i <= count; i++) if (index(trace[i], who) && index(trace[i], what)) found = 1 }
        END { exit !found }' || fail "no trace says that $1 asked for the document"
}

curl -sSf -o "$work/body" "$base/metadata" || fail "no server answers at $base: start ./fhir-server serve --demo"

step "1. The hospital deposits a letter about Hélène: the PDF, then its description."
as hopital POST Binary -H 'Content-Type: application/fhir+json' --data-binary "@$here/story/binary.json"
expect 201
binary=$(created_id)
check "201, Binary/$binary"
sed -e "s/@BINARY@/$binary/" -e "s/@UUID@/$(cat /proc/sys/kernel/random/uuid)/" "$here/story/document.json" \
    >"$work/document.json"
as hopital POST DocumentReference -H 'Content-Type: application/fhir+json' --data-binary "@$work/document.json"
expect 201
document=$(created_id)
check "201, DocumentReference/$document"

step "2. Dr Benali, whom she authorised, finds and reads it."
as specialiste GET "DocumentReference?patient=demo-1&date=2026-04-29&_sort=-_lastUpdated"
expect 200
shows "$base/DocumentReference/$document"
check "his search finds it"
as specialiste GET "DocumentReference/$document"
expect 200
shows "Binary/$binary"
shows '"reference":"Patient/demo-1"'
check "he reads it; the server completed the subject from the INS"
as specialiste GET "Binary/$binary" -H 'Accept: application/pdf'
expect 200
cmp -s "$work/body" "$here/story/lettre.pdf" || fail "the PDF is not the one that was deposited"
check "he reads the PDF, the same bytes"

step "3. Dr Morel, whom she blocked, and Dr Garnier, of whom she never heard, see nothing and cannot tell."
for doctor in bloque inconnu; do
    as $doctor GET "DocumentReference?patient=demo-1&date=2026-04-29"
    expect 200
    shows '"total":0'
    hides '"entry"'
    looks_absent $doctor DocumentReference "$document"
    looks_absent $doctor Binary "$binary"
    check "$doctor: an empty Bundle, and the 404 of what does not exist"
done

step "4. Hélène masks it to professionals."
as patient PATCH "DocumentReference/$document" -H 'Content-Type: application/json-patch+json' \
    --data-binary "@$here/story/mask.json"
expect 200
shows '"versionId":"2"'
shows '"MASQUE_PS"'
check "200, version 2"

step "5. Dr Benali no longer sees it; her médecin traitant does, and so does she."
as specialiste GET "DocumentReference?patient=demo-1&date=2026-04-29&_sort=-_lastUpdated"
expect 200
hides "$document"
looks_absent specialiste DocumentReference "$document"
looks_absent specialiste Binary "$binary"
check "specialiste: gone from his search, 404, and its PDF too"
for reader in medecin-traitant patient; do
    as $reader GET "DocumentReference/$document"
    expect 200
    check "$reader: 200"
done

step "6. Hélène asks why Dr Benali does not see it."
sed "s/@DOCUMENT@/$document/" "$here/story/explain.json" >"$work/explain.json"
as patient POST 'Patient/demo-1/$explain-access' -H 'Content-Type: application/fhir+json' \
    --data-binary "@$work/explain.json"
expect 200
shows '"valueCode":"deny"'
shows '"valueCode":"mask"'
check "denied, by the rule of the mask, in French and English"

step "7. Hélène sees who looked."
as patient GET "AuditEvent?patient=demo-1&_sort=-date&_count=100"
expect 200
traced 89900000002
check "Dr Benali, who read it"
traced 89900000004
traced 89900000003
check "Dr Morel and Dr Garnier, who tried"
traced 89900000001
check "Dr Lefèvre, her médecin traitant"

printf '\nAll as told.\n'
