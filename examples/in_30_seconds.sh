#!/bin/sh
# Schedules a message for 30 seconds from now, with nothing but curl (7.76 or newer).
set -eu

url=${TASK_SCHEDULER_URL:-http://127.0.0.1:8000}
url=${url%/}

# The secret reaches curl by its standard input: other users of the machine can see a command line.
secret_header() {
    if [ -n "${TASK_SCHEDULER_SECRET:-}" ]; then
        printf 'x-pd-secret: %s\n' "$TASK_SCHEDULER_SECRET"
    fi
}

secret_header | curl --fail-with-body -sS -m 30 -w '\n' -H @- -H 'content-type: application/json' "$url/schedule" \
    -d '{"in": "30s", "message": {"text": "Hello from curl"}}' ||
    { echo "Nothing was scheduled; the reason is above." >&2; exit 1; }
