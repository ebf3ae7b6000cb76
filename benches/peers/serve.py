"""The peer of `roomcast serve`: FastAPI and uvicorn over the models of train.py.

    READINGS=readings.csv uvicorn serve:app --workers 2

Care taken: models are fitted once at the start, columns are made in Polars without loops over rows, answers are
rendered once with orjson and kept as bytes per origin and devices, the token is compared in constant time, and
uvicorn runs with uvloop and httptools, a worker per core.
"""

import hmac
import os
from datetime import datetime
from functools import lru_cache

import numpy as np
import orjson
import polars as pl
from fastapi import FastAPI, Header, HTTPException, Query
from fastapi.responses import Response

from hours import HORIZON, HOUR, occupied
from train import ahead, features, fit_site, grow, lay, next_day, sampled, site_columns

TOKEN = os.environ.get("TOKEN", "bench")
HOURS = occupied(os.environ["READINGS"])


def as_of(origin: datetime) -> tuple[dict, pl.DataFrame]:
    """Columns of every device from the hours before an origin, and the site's hours."""
    hours, grid = lay(HOURS.filter(pl.col("hour") < origin), origin - HOUR)
    devices = hours.partition_by("device", as_dict=True, maintain_order=True)
    site = site_columns(devices, hours, grid)
    return {name[0]: features(site, occupied) for name, occupied in devices.items()}, grid


LATEST = HOURS["hour"].max() + HOUR


def fit() -> tuple:
    """The building's layers and each device's own."""
    samples = {name: sampled(table, first, at) for at, (name, (table, first)) in enumerate(as_of(LATEST)[0].items())}
    rows, labels, weights = (np.concatenate([sample[at] for sample in samples.values()]) for at in range(3))
    early = np.concatenate([np.arange(len(sample[1])) < sample[4] for sample in samples.values()])
    before, site = fit_site(rows, labels, weights, early)
    return site, {name: grow(sample, before, site, large=False) for name, sample in samples.items()}


SITE, OWN = fit()
NONE = (None, 0.0, True)


@lru_cache(maxsize=256)
def rendered(origin: datetime, wanted: tuple[str, ...]) -> bytes:
    tables, grid = as_of(origin)
    starts = [time.isoformat() for time in grid["hour"][-HORIZON:]]
    answer = []
    for name, (table, _) in tables.items():
        if wanted and name not in wanted:
            continue
        chances = ahead(next_day(table), SITE, OWN.get(name, NONE)).tolist()
        hours = [{"start": s, "probability": p, "state": int(p >= 0.5)} for s, p in zip(starts, chances)]
        answer.append({"device": name, "source": "model", "status": "live", "model_version": "1", "hours": hours})
    return orjson.dumps({"made_at": datetime.now().isoformat(), "origin": origin.isoformat(), "devices": answer})


app = FastAPI()


@app.get("/predict")
def predict(
    at: datetime | None = None,
    device: list[str] = Query(default=[]),
    authorization: str = Header(default=""),
) -> Response:
    if not hmac.compare_digest(authorization.encode(), f"Bearer {TOKEN}".encode()):
        raise HTTPException(status_code=401)
    origin = at or LATEST
    # The first whole hour at or after the instant.
    origin = origin if origin == origin.replace(minute=0, second=0) else origin.replace(minute=0, second=0) + HOUR
    return Response(rendered(origin, tuple(sorted(device))), media_type="application/json")
