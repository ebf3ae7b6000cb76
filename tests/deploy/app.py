"""Checks the app for Home Assistant: its description, its translations, and its start beside a Supervisor.

    app.py ROOMCAST SHELLCHECK

The Supervisor, the broker and the recorder's database are stand-ins with the answers, packets and tables of the real ones. The
run script and the binary are those that ship.
"""

import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import struct
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
import unittest
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import jsonschema
import yaml

ROOT = Path(__file__).resolve().parents[2]
APP = ROOT / "deploy/home-assistant"
ROOMCAST = Path(sys.argv.pop(1) if len(sys.argv) > 1 else "roomcast").resolve()
SHELLCHECK = sys.argv.pop(1) if len(sys.argv) > 1 else "shellcheck"
CONFIG = yaml.safe_load((APP / "config.yaml").read_text())
SECRET = "token-of-the-supervisor"
LOGIN, PASSWORD = "add ons", "secret-of-the-broker"
PATIENCE = 90

RECORDER = """
    CREATE TABLE recorder_runs (run_id INTEGER PRIMARY KEY, start DATETIME NOT NULL);
    CREATE TABLE states_meta (metadata_id INTEGER NOT NULL PRIMARY KEY, entity_id VARCHAR(255));
    CREATE TABLE state_attributes (attributes_id INTEGER NOT NULL PRIMARY KEY, hash BIGINT, shared_attrs TEXT);
    CREATE TABLE states (state_id INTEGER NOT NULL PRIMARY KEY, state VARCHAR(255), last_changed_ts FLOAT,
        last_updated_ts FLOAT, attributes_id INTEGER, metadata_id INTEGER);
    CREATE INDEX ix_states_metadata_id_last_updated_ts ON states (metadata_id, last_updated_ts);
"""


class Description(unittest.TestCase):
    def test_the_supervisor_takes_it(self):
        schema = json.loads(Path(__file__).with_name("app.schema.json").read_text())
        jsonschema.Draft7Validator.check_schema(schema)
        jsonschema.validate(CONFIG, schema)

    def test_it_is_of_this_version_and_names_files_that_are_there(self):
        version = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"]
        self.assertEqual(CONFIG["version"], version)
        for name in ("DOCS.md", "README.md", "Dockerfile", "run"):
            self.assertTrue((APP / name).is_file(), name)
        self.assertTrue(os.access(APP / "run", os.X_OK))
        head = (APP / "icon.png").read_bytes()[:24]
        self.assertEqual((head[1:4], struct.unpack(">II", head[16:])), (b"PNG", (128, 128)))

    def test_defaults_are_of_their_kind(self):
        for name, kind in CONFIG["schema"].items():
            with self.subTest(name):
                # What has no default must be optional: the app starts without a word of the user.
                self.assertTrue(kind.endswith("?") or name in CONFIG["options"])
                bounds = re.fullmatch(r"int\((\d*),(\d*)\)\??", kind)
                if bounds and name in CONFIG["options"]:
                    low, high = (int(bound) if bound else None for bound in bounds.groups())
                    self.assertTrue((low or 0) <= CONFIG["options"][name] <= (high or 2**31))
        self.assertLessEqual(set(CONFIG["options"]), set(CONFIG["schema"]))

    def test_every_option_is_in_every_language_and_read(self):
        script = (APP / "run").read_text()
        for name in CONFIG["schema"]:
            self.assertIn(f"option {name})", script)
        for language in ("en", "de", "fr"):
            texts = yaml.safe_load((APP / f"translations/{language}.yaml").read_text())
            self.assertEqual(set(texts), {"configuration", "network"})
            self.assertEqual(set(texts["configuration"]), set(CONFIG["schema"]), language)
            self.assertEqual(set(texts["network"]), set(CONFIG["ports"]), language)
            for text in texts["configuration"].values():
                self.assertTrue(set(text) == {"name", "description"} and all(text.values()))

    def test_the_script_is_clean(self):
        done = subprocess.run([SHELLCHECK, APP / "run"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout)


class Supervisor:
    """The Supervisor's API, with or without a broker."""

    def __init__(self, broker: int | None):
        service = {"addon": "core_mosquitto", "host": "127.0.0.1", "port": broker, "ssl": False, "protocol": "3.1.1"}
        service |= {"username": LOGIN, "password": PASSWORD}
        answers = {
            "/info": (200, {"result": "ok", "data": {"supervisor": "2026.11.0", "timezone": "Europe/Berlin"}}),
            "/core/api/config": (200, {"country": "DE", "time_zone": "Europe/Berlin", "version": "2026.11.0"}),
            "/services/mqtt": (200, {"result": "ok", "data": service}) if broker else (400, {"result": "error", "message": "Service not enabled"}),
        }

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                known = self.headers["Authorization"] == f"Bearer {SECRET}"
                status, answer = answers.get(self.path, (404, {})) if known else (401, {})
                self.send_response(status)
                self.end_headers()
                self.wfile.write(json.dumps(answer).encode())

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Broker:
    """As much of an MQTT broker as a client needs to publish at QoS 0 and 1: topics and their latest messages."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.hello = b""
        self.messages: dict[str, bytes] = {}
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client = self.listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        stream = client.makefile("rb")
        while head := stream.read(1):
            length = shift = 0
            while True:
                byte = stream.read(1)[0]
                length |= (byte & 127) << shift
                shift += 7
                if byte < 128:
                    break
            body, kind = stream.read(length), head[0] >> 4
            if kind == 1:
                self.hello = body
                # Protocol level 5 has properties in its answer.
                client.sendall(b"\x20\x03\x00\x00\x00" if body[6] == 5 else b"\x20\x02\x00\x00")
            elif kind == 3:
                size = struct.unpack(">H", body[:2])[0]
                self.messages[body[2 : 2 + size].decode()] = body[2 + size :]
                if head[0] & 6:
                    client.sendall(b"\x40\x02" + body[2 + size : 4 + size])
            elif kind == 8:
                is_five = self.hello[6] == 5
                client.sendall((b"\x90\x04" + body[:2] + b"\x00\x01") if is_five else (b"\x90\x03" + body[:2] + b"\x01"))
            elif kind == 12:
                client.sendall(b"\xd0\x00")

    def close(self):
        self.listener.close()


class Start(unittest.TestCase):
    """The run script, as the Supervisor starts it."""

    def setUp(self):
        for tool in ("jq", "curl", "setpriv"):
            if not shutil.which(tool):
                if os.environ.get("CI") == "true":
                    self.fail(f"no {tool}")
                self.skipTest(f"no {tool}")
        self.place = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.place)
        self.place.chmod(0o755)
        (self.place / "bin").mkdir()
        shutil.copy(ROOMCAST, self.place / "bin/roomcast")
        (self.place / "data").mkdir()
        (self.place / "config").mkdir()
        # Open for the whole test and in the mode of Home Assistant's: the recorder goes on writing.
        self.recorder = sqlite3.connect(self.place / "config/home-assistant_v2.db", isolation_level=None)
        self.addCleanup(self.recorder.close)
        self.recorder.execute("PRAGMA journal_mode = WAL")
        self.recorder.executescript(RECORDER)
        for key, name in ((1, "binary_sensor.kitchen"), (2, "binary_sensor.office"), (3, "light.hall")):
            self.recorder.execute("INSERT INTO states_meta VALUES (?, ?)", (key, name))
            self.recorder.execute("INSERT INTO state_attributes VALUES (?, 0, ?)", (key, json.dumps({"device_class": "motion"})))
        self.hour = int(time.time()) // 3600 * 3600
        self.recorder.execute("BEGIN")
        for day in range(1, 29):
            for key, hours in ((1, (7, 12, 19)), (2, (9, 10, 11, 14, 15))):
                for hour in hours:
                    self.moves(key, self.hour - day * 86_400 + hour * 3600 - 82_800)
        self.recorder.execute("COMMIT")

    def moves(self, key: int, at: float):
        for state, seconds in (("on", 0), ("off", 90)):
            self.recorder.execute(
                "INSERT INTO states (state, last_changed_ts, last_updated_ts, attributes_id, metadata_id) VALUES (?, NULL, ?, ?, ?)",
                (state, at + seconds, key, key),
            )

    def start(self, options: dict, ingress: str, broker: int | None = None):
        supervisor = Supervisor(broker)
        self.addCleanup(supervisor.close)
        (self.place / "data/options.json").write_text(json.dumps(options))
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.log = self.place / "log"
        environment = {
            "PATH": f"{self.place}/bin:{os.environ['PATH']}", "SUPERVISOR": supervisor.url, "SUPERVISOR_TOKEN": SECRET,
            "DATA": str(self.place / "data"), "RECORDER": str(self.place / "config/home-assistant_v2.db"), "INGRESS": ingress,
            "PORT": str(self.port),
        }  # fmt: skip
        with open(self.log, "w") as log:
            self.app = subprocess.Popen([APP / "run"], env=environment, stdout=log, stderr=log, start_new_session=True)
        self.addCleanup(self.kill)
        self.until("readiness", lambda: self.ask("/readyz")[0] == 200)

    def kill(self):
        # The script's sleep belongs to its session.
        try:
            os.killpg(self.app.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.app.wait()

    def stop(self):
        self.app.terminate()
        self.assertEqual(self.app.wait(PATIENCE), 0, self.log.read_text())

    def until(self, what: str, holds):
        end = time.monotonic() + PATIENCE
        while not holds():
            self.assertIsNone(self.app.poll(), self.log.read_text())
            self.assertLess(time.monotonic(), end, f"no {what}: {self.log.read_text()}")
            time.sleep(0.1)

    def ask(self, path: str, token: str | None = None, body: bytes | None = None) -> tuple[int, bytes]:
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data=body)
        request.add_header("Content-Type", "application/json")
        if token:
            request.add_header("Authorization", f"Bearer {token}")
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()
        except OSError:
            return 0, b""

    def test_the_first_start_needs_no_word(self):
        broker = Broker()
        self.addCleanup(broker.close)
        self.start(CONFIG["options"] | {"look_minutes": 0.02}, "127.0.0.1", broker.port)
        # Ingress shows the page without a sign-in, and what the recorder kept.
        self.assertIn(b"data-open", self.ask("/")[1])
        devices = lambda: {one["device"]: one for one in json.loads(self.ask("/devices")[1])["devices"]}
        self.assertEqual(set(devices()), {"binary_sensor.kitchen", "binary_sensor.office"})
        hours = json.loads(self.ask("/predict?device=binary_sensor.office")[1])["devices"][0]["hours"]
        self.assertEqual(len(hours), 24)
        self.assertTrue(hours[0]["start"].endswith(("+01:00", "+02:00")), hours[0])
        promise = json.loads(self.ask("/schedule")[1])
        self.assertEqual(promise["promise"]["max_missed"], 0.05)
        self.assertEqual(self.ask("/readings", body=b"[]")[0], 403)
        # The broker that the Supervisor names gets entities, with the login that it gave.
        for part in (b"roomcast", LOGIN.encode(), PASSWORD.encode()):
            self.assertIn(part, broker.hello)
        self.until("discovery", lambda: any(topic.startswith("homeassistant/sensor/roomcast/") for topic in broker.messages))
        # What moves now is there after the next look.
        before = self.ask("/devices")[1]
        self.moves(1, time.time() - 5)
        self.until("new motion", lambda: self.ask("/devices")[1] != before)
        # No secret is in the log or among the arguments.
        for secret in (SECRET, PASSWORD):
            self.assertNotIn(secret, self.log.read_text())
        lines = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout
        self.assertNotIn(PASSWORD, lines)
        if os.geteuid() == 0:
            self.assertEqual((self.place / "data/readings.db").stat().st_uid, 10001)
        self.stop()

    def test_only_ingress_needs_no_token(self):
        token = "a-token-that-nobody-guesses"
        self.start(CONFIG["options"] | {"api_token": token, "region": "BY", "keep_days": 400}, "172.30.32.2")
        self.assertEqual([self.ask(path)[0] for path in ("/predict", "/devices", "/models")], [401, 401, 401])
        self.assertNotIn(b"data-open", self.ask("/")[1])
        self.assertEqual(self.ask("/predict", token)[0], 200)
        self.assertIn("no MQTT broker", self.log.read_text())
        self.stop()
        # The second start reads the same past once.
        self.start(CONFIG["options"] | {"api_token": token}, "172.30.32.2")
        self.assertEqual(self.ask("/devices", token)[0], 200)
        self.assertRegex(self.log.read_text(), r"\d+ rows, 0 stored")
        self.stop()


if __name__ == "__main__":
    unittest.main(verbosity=1)
