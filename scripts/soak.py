"""Watches a server while a building is played to it; see scripts/soak."""

import json
import os
import statistics
import subprocess
import sys
import time
import urllib.request

server, player, url = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
place, roomcast = os.environ["SOAK_PLACE"], os.environ["SOAK_ROOMCAST"]
seconds = float(os.environ["SOAK_HOURS"]) * 3600 / float(os.environ["SOAK_SPEED"])


def ask(path):
    request = urllib.request.Request(url + path, headers={"Authorization": "Bearer soak"})
    with urllib.request.urlopen(request, timeout=120) as answer:
        return answer.read()


def metrics():
    lines = (line.rsplit(" ", 1) for line in ask("/metrics").decode().splitlines() if not line.startswith("#"))
    return {name: float(value) for name, value in lines}


def memory():
    with open(f"/proc/{server}/status") as status:
        fields = dict(line.split(":", 1) for line in status)
    return int(fields["VmRSS"].split()[0]) / 1024


def runs(process):
    try:
        with open(f"/proc/{process}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


# The requests of the page, as often as it makes them: all of them after each change, at most about once a second.
PAGE = ["/predict", "/devices", "/models", "/alerts"]
# Largest median of the seconds that all of them take: far more than they need, and less than people notice.
USABLE = 1.0
samples, latencies = [], []
begun = time.monotonic()
while runs(player) and time.monotonic() - begun < seconds + 120:
    watch = time.monotonic()
    for path in PAGE:
        ask(path)
    latencies.append(time.monotonic() - watch)
    samples.append((time.monotonic() - begun, memory()))
    time.sleep(0.8)

# Waits for readings that are not stored yet, and for the retraining.
for _ in range(120):
    now = metrics()
    if now["roomcast_ingest_queue_rows"] == 0 and (now["roomcast_retrainings_total"] + now["roomcast_retraining_failures_total"]) >= 1:
        break
    time.sleep(1)
time.sleep(4)
now = metrics()

# Compares with a new process on the same store and the same models.
failed = []
for _ in range(5):
    live = json.loads(ask("/predict"))
    at = live["origin"].replace("T", " ")
    cold = subprocess.run(
        [roomcast, "predict", at, f"{place}/readings.db", "-", "--models", f"{place}/models", "--format", "json"],
        check=True, capture_output=True,
    )
    cold = json.loads(cold.stdout)
    if json.loads(ask("/predict"))["origin"] == live["origin"]:
        break


def hours(answer):
    # Digits that give a number back bit for bit, so that equal texts are equal numbers.
    return {device["device"]: [hour["probability"] for hour in device["hours"]] for device in answer["devices"]}


different = sum(hours(live)[name] != hours(cold).get(name) for name in hours(live))
if different or len(live["devices"]) != len(cold["devices"]):
    failed.append(f"{different} live forecasts differ from those of a cold start")

warm = [mib for at, mib in samples if at >= seconds / 4] or [memory()]
early, late = statistics.median(warm[: max(1, len(warm) // 4)]), statistics.median(warm[-max(1, len(warm) // 4) :])
growth = late / early - 1
if growth > 0.25:
    failed.append(f"memory grew by {growth:.0%} from the second quarter to the end")
if now["roomcast_retrainings_total"] < 1:
    failed.append("nothing was retrained")
if statistics.median(latencies) > USABLE:
    failed.append(f"the page waited {statistics.median(latencies):.1f} s for what it asks")
received = now['roomcast_ingest_stored_total{source="http"}']
print(f"readings stored        {received:>10.0f}   {received / (time.monotonic() - begun):.0f} a second")
print(f"retrainings            {now['roomcast_retrainings_total']:>10.0f}   failed {now['roomcast_retraining_failures_total']:.0f}, version {live['model']['version']}")
print(f"memory, MiB            {early:>10.0f} → {late:.0f}   ({growth:+.1%}; most {max(mib for _, mib in samples):.0f})")
print(f"all the page asks, ms  {1000 * statistics.median(latencies):>10.0f}   p99 {1000 * percentile(latencies, 0.99):.0f}, {len(latencies)} times")
print(f"hours scored           {now['roomcast_live_hours']:>10.0f}   skill {now['roomcast_live_skill']:.3f}")
print(f"live = cold start      {len(live['devices']) - different:>10} of {len(live['devices'])} devices, bit for bit, at {at}")
for why in failed:
    print(f"soak: error: {why}", file=sys.stderr)
sys.exit(bool(failed))
