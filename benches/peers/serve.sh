#!/usr/bin/env bash
# `roomcast serve` against a FastAPI server that does the same, asked by the same client, in turn.
#
#   benches/peers/serve.sh
#
# The peer's packages go into a virtual environment of their own, in the versions of requirements.txt.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/roomcast
roomcast=${ROOMCAST:-${CARGO_TARGET_DIR:-$cache/target}/release/roomcast}
port=${PEER_PORT:-8077}

. "$here/venv.sh"
venv=$(environment requirements)
work=$(mktemp -d)
# The same building as benches/serve.rs.
"$roomcast" simulate --devices 7 --seed 7 --from 2024-01-08 --to 2024-03-07 --output "$work/readings.csv"
cd "$here"
# On the same half of the processors as Roomcast's server; the bench gives the client the other.
half=$(($(nproc) / 2 > 0 ? $(nproc) / 2 : 1))
READINGS=$work/readings.csv TOKEN=bench POLARS_MAX_THREADS=1 taskset -c "0-$((half - 1))" "$venv/bin/uvicorn" serve:app --host 127.0.0.1 --port "$port" \
    --workers "$half" --loop uvloop --http httptools --no-access-log --log-level warning &
server=$!
trap 'kill $server 2>/dev/null; rm -rf "$work"' EXIT
for _ in $(seq 300); do
    ! "$venv/bin/python" -c "import socket; socket.create_connection(('127.0.0.1', $port), 1)" 2>/dev/null || break
    sleep 0.2
done
cd "$here/../.."
PEER_PORT=$port cargo bench --bench serve -- warm cold
