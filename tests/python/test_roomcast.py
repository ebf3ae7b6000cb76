"""Tests of the Python package against the command line: the same readings give the same forecasts, to the last bit.

    test_roomcast.py ROOMCAST [ARGUMENTS OF unittest]
"""

import csv
import json
import math
import os
import pickle
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import warnings
from datetime import datetime, timedelta
from functools import reduce
from operator import add
from pathlib import Path

import pandas
import polars
import pyarrow

import roomcast
from roomcast import BadRowError, Forecaster, ModelFileError, NotFittedError, ReadingsError, RoomcastWarning
from roomcast import SettingError, UnknownDeviceError

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "data/device_activations.csv"
ROOMCAST = Path(sys.argv.pop(1) if len(sys.argv) > 1 else "roomcast")
ORIGIN = "2016-08-24 23:59:59"


def run(*arguments: object) -> str:
    """Returns what the command prints."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("ROOMCAST_")}
    command = [str(ROOMCAST), *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout


def command_line(*options: object, data: object = DATA, origin: str = ORIGIN) -> list[tuple[str, float, int]]:
    """Returns device, probability and state of a forecast of the command line, by time, then device."""
    forecast = json.loads(run("predict", origin, data, "-", "--json", *options))
    hours = [[(d["device"], h["probability"], h["state"]) for h in d["hours"]] for d in forecast["devices"]]
    return [hour for at in zip(*hours) for hour in at]


def in_python(forecaster: Forecaster, origin: str = ORIGIN, **arguments: object) -> list[tuple[str, float, int]]:
    chances, states = forecaster.predict_proba(origin, **arguments), forecaster.predict(origin, **arguments)
    chances, states = chances.to_dict(), states.to_dict()
    # The command line prints six digits.
    probabilities = [math.floor(chance * 1e6 + 0.5) / 1e6 for chance in chances["probability"]]
    return list(zip(chances["device"], probabilities, states["activation_predicted"]))


def rows() -> dict[str, list[str]]:
    with DATA.open() as file:
        table = list(csv.DictReader(file))
    return {name: [row[name] for row in table] for name in table[0]}


def frame() -> polars.DataFrame:
    return polars.read_csv(DATA).with_columns(polars.col("time").str.to_datetime())


class WithoutArrow(pandas.DataFrame):
    """pandas without PyArrow cannot give out Arrow."""

    def __arrow_c_stream__(self, requested_schema=None):
        raise ImportError("no PyArrow")


class SameBits(unittest.TestCase):
    def test_every_kind_of_table_gives_the_forecast_of_the_command_line(self):
        expected = command_line()
        table = frame()
        times = pandas.to_datetime(table["time"].to_list())
        columns = {"time": times, "device": table["device"].to_list(), "device_activated": [True] * len(table)}
        dataframe = pandas.DataFrame(columns)
        batches = pyarrow.RecordBatchReader.from_batches(table.to_arrow().schema, table.to_arrow().to_batches(500))
        kinds = {
            "path": str(DATA),
            "Path": DATA,
            "lists": rows(),
            "Polars": table,
            "Polars with categories": table.with_columns(polars.col("device").cast(polars.Categorical)).sample(fraction=1, shuffle=True),
            "PyArrow": table.to_arrow(),
            "stream": batches,
            "pandas": dataframe,
            "pandas with categories": dataframe.assign(device=dataframe["device"].astype("category"), other=1.5),
            "pandas without PyArrow": WithoutArrow(dataframe),
        }
        for kind, readings in kinds.items():
            with self.subTest(kind):
                self.assertEqual(in_python(Forecaster().fit(readings, until=ORIGIN)), expected)

    def test_a_zone_and_a_rule(self):
        expected = command_line("--timezone", "Europe/Berlin", "--country", "DE-BY", "--closed", "2016-08-12", "--max-missed", 0.05)
        local = frame().with_columns(polars.col("time").dt.replace_time_zone("Europe/Berlin"))
        settings = {"timezone": "Europe/Berlin", "country": "DE-BY", "closed": ["2016-08-12"], "max_missed": 0.05}
        for readings in (DATA, local, local.with_columns(polars.col("time").dt.convert_time_zone("Asia/Tokyo")).to_arrow()):
            self.assertEqual(in_python(Forecaster(**settings).fit(readings, until=ORIGIN)), expected)

    def test_the_file_of_a_forecast(self):
        with tempfile.TemporaryDirectory() as folder:
            ours, theirs = Path(folder, "ours.csv"), Path(folder, "theirs.csv")
            forecaster = Forecaster().fit(DATA, until=ORIGIN)
            forecaster.predict(ORIGIN).to_csv(ours)
            run("predict", ORIGIN, DATA, theirs)
            self.assertEqual(ours.read_bytes(), theirs.read_bytes())

    def test_models_trained_before(self):
        origin = "2016-09-01 12:30:00"
        with tempfile.TemporaryDirectory() as folder:
            run("train", "--input", DATA, "--models", folder)
            expected = command_line("--models", folder, origin=origin)
            forecaster = Forecaster().fit(frame())
            self.assertEqual(in_python(forecaster, origin), expected)
            self.assertEqual(in_python(forecaster, origin, readings=DATA), expected)
            part = in_python(forecaster, origin, devices=["device_2"])
            self.assertEqual(part, [hour for hour in expected if hour[0] == "device_2"])

    def test_an_empty_site_whose_sensors_report_that_they_live(self):
        table = rows()
        moved = [(time, name, "1") for time, name in zip(table["time"], table["device"]) if time < "2016-08-12"]
        hours = (datetime(2016, 8, 12) + timedelta(hours=hour) for hour in range(13 * 24))
        alive = [*moved, *((str(hour), "device_1", "0") for hour in hours)]
        columns = lambda rows: dict(zip(("time", "device", "device_activated"), map(list, zip(*rows))))  # noqa: E731
        with tempfile.TemporaryDirectory() as folder:
            data, saved = Path(folder, "alive.csv"), Path(folder, "saved")
            data.write_text("time,device,device_activated\n" + "".join(",".join(row) + "\n" for row in alive))
            expected = command_line(data=data)
            forecaster = Forecaster().fit(columns(alive), until=ORIGIN)
            forecaster.save(saved)
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                self.assertEqual(in_python(forecaster), expected)
                self.assertEqual(in_python(Forecaster.load(saved)), expected)
        silent = Forecaster().fit(columns(moved), until=ORIGIN)
        with self.assertWarnsRegex(RoomcastWarning, "since 2016-08-11 .*hour-of-week rate"):
            self.assertNotEqual(in_python(silent), expected)

    def test_a_backtest(self):
        options = {"--from": "2016-08-20", "--to": "2016-08-22", "--every": "12h", "--refit": "2d"}
        expected = json.loads(run("backtest", "--input", DATA, "--json", *(part for pair in options.items() for part in pair)))
        steps = []
        found = Forecaster().fit(DATA).backtest(
            start="2016-08-20",
            stop=datetime(2016, 8, 22),
            every=timedelta(hours=12),
            refit="2d",
            progress=lambda done, total: steps.append((done, total)),
        )
        self.assertEqual(found.report, expected)
        self.assertEqual(len(found.hours), expected["setup"]["hours"])
        self.assertIn((len(steps), len(steps)), steps)
        hours = found.hours.to_polars()
        occupied, chance = hours["occupied"].cast(float), hours["probability"]
        brier = ((chance - occupied) ** 2).mean()
        model = next(score for score in expected["overall"]["forecasters"] if score["forecaster"] == "model")
        self.assertAlmostEqual(brier, model["brier"], places=6)
        self.assertIn("hour_of_week_rate", hours.columns)
        self.assertIn("log loss", str(found))
        with tempfile.TemporaryDirectory() as folder:
            found.to_html(Path(folder, "report.html"))
            self.assertIn("<!doctype html>", Path(folder, "report.html").read_text().lower())

    def test_the_default_origins_of_a_backtest(self):
        expected = json.loads(run("backtest", "--input", DATA, "--json", "--refit", "30d"))
        self.assertEqual(Forecaster().fit(DATA).backtest(refit="30d").report["setup"], expected["setup"])

    def test_an_explanation(self):
        expected = json.loads(run("explain", "--input", DATA, "device_2", "2016-08-25 10:00:00", "--json"))
        forecaster = Forecaster().fit(DATA, until="2016-08-25 00:00:00")
        found = forecaster.explain("device_2", "2016-08-25 10:20")
        self.assertEqual(found, {name: value for name, value in expected.items() if name != "hour"})
        total = found["base"] + sum(part["contribution"] for part in found["contributions"])
        self.assertAlmostEqual(total, found["score"], places=9)

    def test_a_schedule(self):
        options = ("--promise", "room", "--preheat", "45m", "--setback-after", "30m", "--min-run", "2h", "--max-missed", "0.1")
        zone = {"timezone": "Europe/Berlin", "closed": ["2016-08-25"], "open": ["2016-08-26"]}
        times = {"preheat": "45m", "setback_after": timedelta(minutes=30), "min_run": "2h"}
        for given, settings, arguments in (
            ((), {}, {}),
            (options, {"max_missed": 0.1}, {"promise": "room", **times}),
            (("--cost-miss", "4", "--cost-waste", "1"), {"cost_miss": 4, "cost_waste": 1}, {}),
            (("--threshold", "0.3", "--device", "device_2"), {"threshold": 0.3}, {"devices": ["device_2"]}),
            (("--timezone", "Europe/Berlin", "--closed", "2016-08-25", "--open", "2016-08-26"), zone, {}),
        ):
            with self.subTest(given):
                command = lambda form: run("schedule", ORIGIN, "--input", DATA, "--format", form, *given)  # noqa: E731, B023
                found = Forecaster(**settings).fit(DATA, until=ORIGIN).schedule(ORIGIN, **arguments)
                # JSON has all digits of thresholds, peaks and sums.
                self.assertEqual(found.report, json.loads(command("json")))
                self.assertIn(str(found).strip(), command("text"))
                blocks = found.blocks.to_dict()
                form = lambda time: time[:19].replace("T", " ")  # noqa: E731
                rows = zip(*(map(form, cells) if name not in ("device", "peak_probability") else cells for name, cells in blocks.items()))
                lines = ["device,start,end,occupied_from,occupied_until,peak_probability"]
                lines += [",".join([*row[:-1], f"{row[-1]:.6f}"]) for row in rows]
                self.assertEqual(lines, command("csv").splitlines())
        with tempfile.TemporaryDirectory() as folder:
            found.to_ics(Path(folder, "rooms.ics"))
            events = Path(folder, "rooms.ics").read_text().count("BEGIN:VEVENT")
            self.assertEqual((events, bool(found.report["devices"])), (len(found.blocks), True))
        steps = []
        Forecaster().fit(DATA, until=ORIGIN).schedule(ORIGIN, progress=lambda done, total: steps.append((done, total)))
        self.assertIn((steps[0][1], steps[0][1]), steps)

    def test_all_digits_of_every_probability(self):
        """A forecast of the command line has six digits. Its plan has the sum of each room's 24 hours with all of them, and
        the file of a backtest each hour's chance."""
        plan = json.loads(run("schedule", ORIGIN, "--input", DATA, "--format", "json", "--threshold", "0"))
        chances = Forecaster().fit(DATA, until=ORIGIN).predict_proba(ORIGIN).to_dict()
        rooms = {name: [] for name in chances["device"]}
        for name, chance in zip(chances["device"], chances["probability"]):
            rooms[name].append(chance)
        # Not sum(), which corrects rounding from Python 3.12 on.
        found = {name: reduce(add, hours).hex() for name, hours in rooms.items()}
        expected = {room["device"]: room["hours_expected"].hex() for room in plan["devices"]}
        self.assertEqual(found, expected)
        with tempfile.TemporaryDirectory() as folder:
            cases = Path(folder, "cases.parquet")
            run("backtest", "--input", DATA, "--from", "2016-08-20", "--to", "2016-08-22", "--refit", "2d", "--cases", cases)
            theirs = polars.read_parquet(cases).select("device", "lead", "probability")
        ours = Forecaster().fit(DATA).backtest(start="2016-08-20", stop="2016-08-22", refit="2d").hours.to_polars()
        bits = lambda table: sorted(  # noqa: E731
            (device, lead, float(chance).hex()) for device, lead, chance in table.select("device", "lead", "probability").iter_rows()
        )
        self.assertGreater(len(ours), 300)
        self.assertEqual(bits(ours), bits(theirs))


class Saving(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def test_a_loaded_forecaster_forecasts_the_same(self):
        settings = {"timezone": "Europe/Berlin", "holidays": [datetime(2016, 8, 15).date()], "threshold": 0.3}
        forecaster = Forecaster(**settings).fit(DATA, until=ORIGIN)
        forecaster.save(self.folder / "a.roomcast")
        forecaster.save(self.folder / "b.roomcast")
        self.assertEqual((self.folder / "a.roomcast").read_bytes(), (self.folder / "b.roomcast").read_bytes())
        loaded = Forecaster.load(self.folder / "a.roomcast")
        self.assertEqual(in_python(loaded), in_python(forecaster))
        self.assertEqual(loaded.explain("device_2", "2016-08-25 10:00"), forecaster.explain("device_2", "2016-08-25 10:00"))
        self.assertEqual(sorted(os.listdir(self.folder)), ["a.roomcast", "b.roomcast"])
        loaded.save(self.folder / "c.roomcast")
        self.assertEqual((self.folder / "c.roomcast").read_bytes(), (self.folder / "a.roomcast").read_bytes())

    def test_a_damaged_file_is_refused(self):
        path = self.folder / "a.roomcast"
        Forecaster().fit(DATA).save(path)
        whole = path.read_bytes()
        for damaged in (b"", b"time,device\n", whole[: len(whole) // 2], whole[:3000] + b"\0\0\0\0" + whole[3004:]):
            path.write_bytes(damaged)
            with self.assertRaises(ModelFileError):
                Forecaster.load(path)
        with self.assertRaises(FileNotFoundError):
            Forecaster.load(self.folder / "none")


class Errors(unittest.TestCase):
    def test_a_bad_row_has_its_place(self):
        table = polars.DataFrame(rows())
        bad = table.with_row_index().with_columns(
            time=polars.when(polars.col("index") == 1234).then(polars.lit("noon")).otherwise("time")
        )
        with self.assertRaises(BadRowError) as caught:
            Forecaster().fit(bad)
        error = caught.exception
        self.assertEqual((error.row, error.line, error.column, error.found), (1234, None, "time", "noon"))
        self.assertEqual(bad["time"][error.row], "noon")
        self.assertIn("skip_bad_rows=True", str(error))
        self.assertNotIn("--", str(error))
        self.assertEqual(pickle.loads(pickle.dumps(error)).row, 1234)
        with self.assertWarnsRegex(RoomcastWarning, "1 rows could not be read"):
            Forecaster(skip_bad_rows=True).fit(bad)
        with tempfile.NamedTemporaryFile("w", suffix=".csv") as file:
            file.write("time,device,device_activated\n2016-08-01 10:00:00,a,1\n2016-08-01 10:00:00,a,7\n")
            file.flush()
            with self.assertRaises(BadRowError) as caught:
                Forecaster().fit(file.name)
        self.assertEqual((caught.exception.row, caught.exception.line, caught.exception.found), (None, 3, "7"))

    def test_missing_values_are_bad_rows(self):
        for kind in (WithoutArrow, pandas.DataFrame):
            times = pandas.to_datetime(["2016-08-01 10:00:00", None])
            with self.assertRaises(BadRowError) as caught:
                Forecaster().fit(kind({"time": times, "device": ["a", "a"], "device_activated": [1, 1]}))
            self.assertEqual((caught.exception.row, caught.exception.column), (1, "time"))

    def test_readings_that_cannot_be_read(self):
        for readings, message in (
            ("none.csv", "no such file"),
            ({"time": [], "device": []}, "device_activated"),
            ({"time": ["2016-08-01 10:00:00"], "device": [], "device_activated": []}, "rows"),
            (polars.DataFrame({"time": [1.5], "device": ["a"], "device_activated": [1]}), "64-bit seconds"),
            (frame().with_columns(polars.col("time").dt.replace_time_zone("UTC")), "timezone="),
            (frame().clear(), "no readings"),
            ([1, 2], "expected a data frame"),
        ):
            with self.subTest(message), self.assertRaisesRegex(ReadingsError, message):
                Forecaster().fit(readings)

    def test_settings_and_arguments(self):
        for settings, message in (
            ({"timezone": "Europe/Berlni"}, "did you mean Europe/Berlin"),
            ({"country": "XX"}, "XX"),
            ({"region": "BY"}, "country"),
            ({"closed": ["24.12.2016"]}, "YYYY-MM-DD"),
            ({"weekend": ["funday"]}, "weekend"),
            ({"threshold": 2.0}, "threshold"),
            ({"cost_miss": 2.0}, "together"),
            ({"threshold": 0.5, "max_missed": 0.1}, "exclude"),
            ({"threshold": math.nan}, "threshold"),
        ):
            with self.subTest(message), self.assertRaisesRegex(SettingError, message):
                Forecaster(**settings).fit(DATA)
        forecaster = Forecaster()
        for call in (forecaster.predict, forecaster.backtest, lambda: forecaster.save("x")):
            with self.assertRaises(NotFittedError):
                call()
        forecaster.fit(DATA)
        with self.assertRaisesRegex(UnknownDeviceError, 'did you mean "device_2"'):
            forecaster.predict("2016-09-02 10:00", devices=["devise_2"])
        with self.assertRaisesRegex(UnknownDeviceError, "nowhere"):
            forecaster.backtest(devices=["nowhere"])
        with self.assertRaisesRegex(SettingError, "YYYY-MM-DD"):
            forecaster.predict("tomorrow")
        with self.assertRaisesRegex(SettingError, "not among the 24 hours"):
            forecaster.explain("device_2", "2016-09-02 10:00", at="2016-08-30")
        with self.assertRaisesRegex(SettingError, "preheat: expected a duration of at most 12h"):
            forecaster.schedule("2016-09-02 10:00", preheat="13h")
        with self.assertRaisesRegex(SettingError, "'site' or 'room'"):
            forecaster.schedule("2016-09-02 10:00", promise="floor")
        with self.assertRaisesRegex(SettingError, "max_missed"):
            Forecaster(threshold=0.3).fit(DATA).schedule("2016-09-02 10:00", promise="room")
        with self.assertRaisesRegex(UnknownDeviceError, "nowhere"):
            forecaster.schedule("2016-09-02 10:00", devices=["nowhere"])
        with self.assertRaisesRegex(SettingError, "every"):
            forecaster.backtest(every="often")
        with self.assertRaisesRegex(ReadingsError, "no reading before"), self.assertWarns(RoomcastWarning):
            forecaster.predict("2015-01-01 10:00")

    def test_warnings_tell_what_to_doubt(self):
        forecaster = Forecaster().fit(DATA)
        with self.assertWarnsRegex(RoomcastWarning, "learned from readings after") as caught:
            forecaster.predict(ORIGIN)
        self.assertEqual(caught.filename, __file__)
        with self.assertWarnsRegex(RoomcastWarning, "hour-of-week rate"):
            forecaster.predict("now")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            Forecaster().fit(DATA, until=ORIGIN).predict(ORIGIN)

    def test_the_error_of_a_progress_function_is_raised(self):
        calls = []

        def progress(done, total):
            calls.append(done)
            raise KeyError("mine")

        with self.assertRaisesRegex(KeyError, "mine"):
            Forecaster().fit(DATA, progress=progress)
        self.assertEqual(len(calls), 1)


class Tables(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.table = Forecaster(timezone="Europe/Berlin").fit(DATA, until=ORIGIN).predict_proba(ORIGIN)

    def test_every_library_takes_the_same_table(self):
        table = self.table
        columns = table.to_dict()
        self.assertEqual((table.columns, len(table)), (["time", "device", "probability"], 24 * len(set(columns["device"]))))
        ours, arrow = table.to_polars(), table.to_arrow()
        self.assertEqual(ours["time"].dtype, polars.Datetime("us", "Europe/Berlin"))
        self.assertEqual(arrow.schema.field("time").type, pyarrow.timestamp("us", "Europe/Berlin"))
        for found in (ours["probability"], arrow["probability"].to_pylist(), table.to_pandas()["probability"]):
            self.assertEqual(list(found), columns["probability"])
        for found in (ours["time"], arrow["time"].to_pylist(), table.to_pandas()["time"]):
            self.assertEqual(list(found), columns["time"])
        self.assertTrue(ours.equals(polars.DataFrame(arrow)))
        self.assertEqual(columns["time"][0].isoformat(), "2016-08-25T00:00:00+02:00")
        self.assertIn("2016-08-25 00:00:00  device_1", repr(table))

    def test_local_times_without_a_zone(self):
        table = Forecaster().fit(DATA, until=ORIGIN).predict(ORIGIN)
        self.assertEqual(table.to_polars()["time"].dtype, polars.Datetime("us"))
        self.assertEqual(table.to_dict()["time"][0], datetime(2016, 8, 25))
        self.assertEqual(table.to_pandas()["time"][0], pandas.Timestamp(2016, 8, 25))

    def test_a_stream_can_be_asked_for_again_but_read_once(self):
        self.assertEqual(len(polars.DataFrame(self.table)), len(polars.DataFrame(self.table)))
        capsule = frame().__arrow_c_stream__()
        site = Forecaster()._site
        self.assertGreater(len(site.read_stream(capsule, None)), 0)
        with self.assertRaises(ReadingsError):
            site.read_stream(capsule, None)
        for _ in range(100):
            self.table.__arrow_c_stream__()  # released with its capsule


class Package(unittest.TestCase):
    def test_nothing_else_is_imported(self):
        code = (
            "import sys, roomcast; from roomcast import Forecaster;"
            f"table = Forecaster().fit({str(DATA)!r}, until={ORIGIN!r}).predict({ORIGIN!r}); table.to_dict();"
            "print({'numpy', 'pandas', 'polars', 'pyarrow'} & set(sys.modules))"
        )
        out = subprocess.run([sys.executable, "-I", "-c", code], check=True, stdout=subprocess.PIPE, text=True).stdout
        self.assertEqual(out, "set()\n")

    def test_other_threads_run_while_models_are_fitted(self):
        done, ticks = threading.Event(), []

        def tick():
            while not done.is_set():
                ticks.append(time.perf_counter())
                time.sleep(0.001)

        forecaster, thread = Forecaster(), threading.Thread(target=tick)
        readings = forecaster._read(DATA, None)
        thread.start()
        start = time.perf_counter()
        roomcast._roomcast.Model.fit(forecaster._site, readings, None, forecaster._rule(), None)
        end = time.perf_counter()
        done.set()
        thread.join()
        within = [tick for tick in ticks if start < tick < end]
        self.assertGreater(len(within), 5, f"{end - start:.3f} s")

    def test_the_command_comes_with_the_module(self):
        command = Path(sys.executable).parent / "roomcast"
        out = subprocess.run([command, "--version"], check=True, stdout=subprocess.PIPE, text=True).stdout
        self.assertEqual(out, f"roomcast {roomcast.__version__}\n")

    def test_settings_are_those_of_an_estimator(self):
        forecaster = Forecaster(timezone="Europe/Berlin", threshold=0.4)
        self.assertEqual(repr(forecaster), "Forecaster(timezone='Europe/Berlin', threshold=0.4)")
        clone = Forecaster(**forecaster.get_params()).set_params(threshold=None)
        self.assertEqual(repr(clone), "Forecaster(timezone='Europe/Berlin')")


if __name__ == "__main__":
    unittest.main()
