"""Checks what is in deploy/: renders the chart with Helm's own code, validates what comes out, and runs it.

    check.py ROOMCAST

Rendered objects are held against Kubernetes' schemas (strictly, oldest and newest supported version), against the restricted
pod security standard, and against each other: selectors, ports, volumes. Then the binary is started with the very
arguments and variables of the rendered containers, as the user they name, and asked what probes and Prometheus would ask.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
import unittest
import urllib.error
import urllib.request
from functools import wraps
from pathlib import Path

import helm_python as helm
import jsonschema
import kubernetes_validate
import promql_parser
import yaml

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "deploy/helm/roomcast"
ROOMCAST = Path(sys.argv.pop(1) if len(sys.argv) > 1 else "roomcast").resolve()
KUBERNETES = ("1.27", "1.37")
USER = 10001
PATIENCE = 60

EVERYTHING = {
    "site": {"timezone": "Europe/Berlin", "holidays": "2016-08-15\n"},
    "monitoring": {"serviceMonitor": True, "prometheusRule": True, "dashboard": True, "labels": {"release": "prometheus"}},
    "ingress": {"enabled": True, "host": "rooms.example", "className": "nginx", "tlsSecret": "certificate"},
    "networkPolicy": {"from": [{"namespaceSelector": {"matchLabels": {"team": "rooms"}}}]},
    "extraArgs": ["--workers=2"],
    "extraEnv": [{"name": "RUST_LOG", "value": "roomcast=info"}],
    "nodeSelector": {"disk": "ssd"},
    "tolerations": [{"key": "rooms", "operator": "Exists"}],
    "imagePullSecrets": [{"name": "registry"}],
    "podLabels": {"team": "rooms"},
    "podAnnotations": {"note": "one"},
}
SEVERAL = {
    "replicas": 3,
    "store": {"postgres": {"existingSecret": "database"}},
    "persistence": {"accessModes": ["ReadWriteMany"]},
    "sources": {"nats": "nats://nats:4222"},
    "publish": {"redis": "redis://redis/"},
}
BESIDE = SEVERAL | {"replicas": 1, "persistence": {"accessModes": ["ReadWriteOnce"]}}
ELSEWHERE = SEVERAL | {
    "persistence": {"accessModes": ["ReadWriteOnce"]},
    "models": {"existingSecret": "registry", "env": [{"name": "AWS_REGION", "value": "eu-central-1"}]},
}
PLAIN = {"retrain": {"enabled": False}, "networkPolicy": {"enabled": False}, "podDisruptionBudget": {"enabled": False}}
MQTT = {"sources": {"mqtt": "mqtt://broker/"}, "publish": {"mqtt": "mqtt://broker/?client_id=forecasts"}, "persistence": {"existingClaim": "old"}}
CASES = {"default": {}, "everything": EVERYTHING, "several": SEVERAL, "beside": BESIDE, "elsewhere": ELSEWHERE, "plain": PLAIN, "mqtt": MQTT}

# What is refused, and a word of the reason.
REFUSED = [
    ({"replica": 2}, "replica"),
    ({"replicas": "2"}, "/replicas"),
    ({"replicas": 2}, "store.postgres.existingSecret"),
    (SEVERAL | {"persistence": {"accessModes": ["ReadWriteOnce"]}}, "ReadWriteMany"),
    (ELSEWHERE | {"store": {"postgres": {"existingSecret": ""}}}, "store.postgres.existingSecret"),
    (SEVERAL | {"sources": {"mqtt": "mqtt://broker/"}}, "one owner"),
    (SEVERAL | {"store": {"postgres": {"existingSecret": "Capitals"}}}, "/store/postgres/existingSecret"),
    ({"auth": {"existingSecret": ""}}, "/auth/existingSecret"),
    ({"ingress": {"enabled": True}}, "ingress.host"),
    ({"retrain": {"schedule": "0 2"}}, "/retrain/schedule"),
    ({"extraArgs": ["workers"]}, "/extraArgs/0"),
    ({"sources": {"mqtt": "broker"}}, "/sources/mqtt"),
]


def render(values: dict) -> list[dict]:
    with helm.Chart.load(CHART) as chart:
        chart.validate_schema(values)
        files = chart.render(values, name="demo", namespace="rooms")
    return [one for name, text in files.items() if name.endswith(".yaml") for one in yaml.safe_load_all(text) if one]


def of_kind(objects: list[dict], kind: str) -> list[dict]:
    return [one for one in objects if one["kind"] == kind]


def deployed(objects: list[dict], component: str) -> list[dict]:
    """The Deployments of one component."""
    label = "app.kubernetes.io/component"
    return [one for one in of_kind(objects, "Deployment") if one["spec"]["template"]["metadata"]["labels"][label] == component]


def pods(objects: list[dict]) -> list[dict]:
    deployments = [one["spec"]["template"] for one in of_kind(objects, "Deployment")]
    return deployments + [one["spec"]["jobTemplate"]["spec"]["template"] for one in of_kind(objects, "CronJob")]


def chosen(selector: dict, labels: dict) -> bool:
    return bool(selector) and selector.items() <= labels.items()


def expressions() -> list[str]:
    rules = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yml").read_text())
    found = [rule["expr"] for group in rules["groups"] for rule in group["rules"]]
    dashboard = json.loads((ROOT / "deploy/grafana/roomcast.json").read_text())
    found += [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
    return [text.replace("$__rate_interval", "5m").replace("$instance", ".*") for text in found]


def in_every_case(test):
    """A test of the objects that each case renders to."""

    @wraps(test)
    def all_cases(self):
        for name, values in CASES.items():
            with self.subTest(name):
                test(self, render(values))

    return all_cases


class Chart(unittest.TestCase):
    def test_lint(self):
        for values in CASES.values():
            messages = helm.lint(CHART, values, strict=True)["messages"]
            self.assertEqual([one for one in messages if one["severity"] > 1], [])

    @in_every_case
    def test_schemas(self, objects):
        monitoring = json.loads(Path(__file__).with_name("monitoring.schema.json").read_text())
        names = [(one["kind"], one["metadata"]["name"]) for one in objects]
        self.assertEqual(len(names), len(set(names)))
        for one in objects:
            if one["apiVersion"] == "monitoring.coreos.com/v1":
                jsonschema.validate(one, monitoring)
            else:
                for version in KUBERNETES:
                    kubernetes_validate.validate(one, version, strict=True)

    def test_everything_is_there(self):
        kinds = {one["kind"] for one in render(EVERYTHING)}
        self.assertEqual(kinds, {
            "Deployment", "Service", "CronJob", "PodDisruptionBudget", "PersistentVolumeClaim", "NetworkPolicy", "Ingress",
            "ConfigMap", "ServiceMonitor", "PrometheusRule",
        })  # fmt: skip
        self.assertEqual({one["kind"] for one in render(PLAIN)}, {"Deployment", "Service", "PersistentVolumeClaim"})

    def test_bad_values_are_refused(self):
        for values, reason in REFUSED:
            with self.subTest(reason), self.assertRaises(helm.HelmError) as refusal:
                render(values)
            self.assertIn(reason, str(refusal.exception))

    @in_every_case
    def test_pods_are_restricted(self, objects):
        for pod in pods(objects):
            spec = pod["spec"]
            self.assertIs(spec["automountServiceAccountToken"], False)
            self.assertIs(spec["enableServiceLinks"], False)
            security = spec["securityContext"]
            self.assertEqual((security["runAsNonRoot"], security["runAsUser"]), (True, USER))
            self.assertEqual(security["seccompProfile"], {"type": "RuntimeDefault"})
            for container in spec["containers"]:
                security = container["securityContext"]
                self.assertIs(security["allowPrivilegeEscalation"], False)
                self.assertIs(security["readOnlyRootFilesystem"], True)
                self.assertEqual(security["capabilities"], {"drop": ["ALL"]})
                for kind in ("requests", "limits"):
                    self.assertEqual(set(container["resources"][kind]), {"cpu", "memory"})
            for volume in spec["volumes"]:
                self.assertIn((set(volume) - {"name"}).pop(), ("persistentVolumeClaim", "emptyDir", "configMap"))

    @in_every_case
    def test_objects_fit_together(self, objects):
        claims = [one["metadata"]["name"] for one in of_kind(objects, "PersistentVolumeClaim")] + ["old"]
        maps = [one["metadata"]["name"] for one in of_kind(objects, "ConfigMap")]
        for pod in pods(objects):
            spec = pod["spec"]
            volumes = {volume["name"] for volume in spec["volumes"]}
            for container in spec["containers"]:
                self.assertEqual({mount["name"] for mount in container["volumeMounts"]}, volumes)
            for volume in spec["volumes"]:
                if "persistentVolumeClaim" in volume:
                    self.assertIn(volume["persistentVolumeClaim"]["claimName"], claims)
                if "configMap" in volume:
                    self.assertIn(volume["configMap"]["name"], maps)
        [deployment], [service] = deployed(objects, "server"), of_kind(objects, "Service")
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        self.assertTrue(chosen(deployment["spec"]["selector"]["matchLabels"], labels))
        self.assertTrue(chosen(service["spec"]["selector"], labels))
        [container] = deployment["spec"]["template"]["spec"]["containers"]
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        exposed = re.search(r"^EXPOSE (\d+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
        self.assertEqual(ports, {"http": int(exposed[1])})
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            self.assertIn(container[probe]["httpGet"]["port"], ports)
        self.assertEqual([port["targetPort"] for port in service["spec"]["ports"]], ["http"])
        for budget in of_kind(objects, "PodDisruptionBudget"):
            self.assertTrue(chosen(budget["spec"]["selector"]["matchLabels"], labels))
        for monitor in of_kind(objects, "ServiceMonitor"):
            self.assertTrue(chosen(monitor["spec"]["selector"]["matchLabels"], service["metadata"]["labels"]))
            self.assertEqual([end["port"] for end in monitor["spec"]["endpoints"]], [service["spec"]["ports"][0]["name"]])
        for template in pods(objects):
            if template is deployment["spec"]["template"]:
                continue
            # Neither the Service nor the budget may take it for a server.
            self.assertFalse(chosen(service["spec"]["selector"], template["metadata"]["labels"]))
            affinity = template["spec"].get("affinity")
            if affinity:
                [term] = affinity["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
                self.assertTrue(chosen(term["labelSelector"]["matchLabels"], labels))

    @in_every_case
    def test_no_two_owners_of_a_disk(self, objects):
        [deployment] = deployed(objects, "server")
        volumes = [volume for pod in pods(objects) for volume in pod["spec"]["volumes"]]
        shared = any("ReadWriteMany" in one["spec"]["accessModes"] for one in of_kind(objects, "PersistentVolumeClaim"))
        shared = shared or not any("persistentVolumeClaim" in volume for volume in volumes)
        self.assertEqual(deployment["spec"]["strategy"]["type"], "RollingUpdate" if shared else "Recreate")

    def test_rules_and_dashboard_are_those_on_record(self):
        objects = render(EVERYTHING)
        rules = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yml").read_text())
        self.assertEqual(of_kind(objects, "PrometheusRule")[0]["spec"], rules)
        dashboard = next(one["data"]["roomcast.json"] for one in of_kind(objects, "ConfigMap") if "roomcast.json" in one["data"])
        self.assertEqual(dashboard, (ROOT / "deploy/grafana/roomcast.json").read_text())


class Monitoring(unittest.TestCase):
    def test_queries_parse(self):
        found = expressions()
        self.assertGreater(len(found), 40)
        for text in found:
            with self.subTest(text):
                promql_parser.parse(text)

    def test_panels_do_not_overlap(self):
        panels = json.loads((ROOT / "deploy/grafana/roomcast.json").read_text())["panels"]
        self.assertEqual(len({panel["id"] for panel in panels}), len(panels))
        taken = set()
        for panel in panels:
            place = panel["gridPos"]
            self.assertLessEqual(place["x"] + place["w"], 24)
            cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
            self.assertFalse(cells & taken, panel["title"])
            taken |= cells


class Version(unittest.TestCase):
    def test_images_are_of_the_version_that_is_built_here(self):
        version = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"]
        compose = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text())["services"]["roomcast"]["image"]
        self.assertEqual(compose, f"${{ROOMCAST_IMAGE:-roomcast:{version}}}")
        chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
        self.assertEqual((chart["version"], chart["appVersion"]), (version, version))
        images = {pod["spec"]["containers"][0]["image"] for pod in pods(render({}))}
        self.assertEqual(images, {f"roomcast:{version}"})


class Compose(unittest.TestCase):
    def setUp(self):
        self.compose = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text())

    def test_files_and_volumes_exist(self):
        services = self.compose["services"]
        for service in services.values():
            for volume in service.get("volumes", []):
                source = volume.split(":")[0]
                self.assertTrue((ROOT / "deploy" / source).exists() if source.startswith(".") else source in self.compose["volumes"], volume)
            self.assertLessEqual(set(service.get("depends_on", [])), set(services))
        [target] = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())["scrape_configs"][0]["static_configs"][0]["targets"]
        self.assertEqual(target, "roomcast:5000")
        # The page's and the dashboard's data source answers under the name that compose gives it.
        [source] = yaml.safe_load((ROOT / "deploy/grafana/provisioning/datasources/prometheus.yaml").read_text())["datasources"]
        self.assertEqual(source["url"], "http://prometheus:9090")
        [provider] = yaml.safe_load((ROOT / "deploy/grafana/provisioning/dashboards/roomcast.yaml").read_text())["providers"]
        self.assertTrue(any(f":{provider['options']['path']}/" in volume for volume in services["grafana"]["volumes"]))

    def test_brokers_are_bounded_and_on_this_machine_alone(self):
        for name in ("mosquitto", "nats"):
            for port in self.compose["services"][name]["ports"]:
                self.assertTrue(port.startswith("127.0.0.1:"), port)
        setting = lambda file: dict(re.findall(r"^\s*(\w+):?\s+(\S.*)$", (ROOT / "deploy" / file).read_text(), re.MULTILINE))
        mosquitto, nats = setting("mosquitto.conf"), setting("nats.conf")
        self.assertEqual((mosquitto["persistence"], nats["sync_interval"]), ("true", "always"))
        for bound in (mosquitto["message_size_limit"], mosquitto["max_queued_bytes"]):
            self.assertGreater(int(bound), 0)
        self.assertTrue(nats["max_payload"] and nats["max_file_store"])

    def test_the_server_takes_its_arguments(self):
        """With a store that cannot be reached it must fail for that, and not for its arguments."""
        service = self.compose["services"]["roomcast"]
        variables = {"POSTGRES_PASSWORD": "secret", "PRIVATE_TOKEN": "token"}
        fill = lambda text: re.sub(r"\$\{(\w+)(?::[-?]([^}]*))?\}", lambda m: variables.get(m[1]) or m[2], text)
        environment = {name: fill(str(value)).replace("@postgres/", "@127.0.0.1:9/") for name, value in service["environment"].items()}
        done = subprocess.run([ROOMCAST, *service["command"]], env=environment, capture_output=True, text=True, timeout=PATIENCE)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("127.0.0.1", done.stderr)


class Image(unittest.TestCase):
    """The Dockerfile's last stage without a container engine: a root with what it has, and nothing else."""

    # Of the packages of debian:bookworm-slim, those that have libraries of a compiler.
    LIBRARIES = {"libc6", "libgcc-s1", "libstdc++6"}

    def setUp(self):
        stage = (ROOT / "Dockerfile").read_text().replace("\\\n", " ").rpartition("\nFROM ")[2].splitlines()
        self.assertEqual(stage[0], "debian:bookworm-slim")
        self.lines = [line.split(maxsplit=1) for line in stage[1:] if line and not line.startswith("#")]
        self.root = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.root)
        self.root.chmod(0o755)

    def of(self, word: str) -> list[str]:
        return [rest for first, rest in self.lines if first == word]

    def put(self, source: Path, target: str) -> None:
        path = self.root / target.lstrip("/") / (source.name if target.endswith("/") else "")
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, path)

    def test_the_last_stage_has_what_the_binary_needs(self):
        linked = re.findall(r"(/\S+) \(0x", subprocess.run(["ldd", ROOMCAST], check=True, capture_output=True, text=True).stdout)
        for library in linked:
            names = {library, os.path.realpath(library), library.removeprefix("/usr"), f"/usr{library}"}
            found = [subprocess.run(["dpkg", "-S", name], capture_output=True, text=True).stdout.split(":")[0] for name in names]
            self.assertTrue(self.LIBRARIES & set(found), f"the image has no {library}")
            self.put(Path(library), library)
        for copied in self.of("COPY"):
            *options, source, target = copied.split()
            from_binary = {"/usr/local/bin/roomcast": ROOMCAST}.get(source, Path(source))
            self.put(from_binary if "--from=binary" in options else ROOT / source, target)
        if os.geteuid() != 0:
            self.skipTest("only root can change the root directory")
        [user] = {line.split(":")[0] for line in self.of("USER")}
        for volume in json.loads(self.of("VOLUME")[0]):
            (self.root / volume.lstrip("/")).mkdir(exist_ok=True)
            subprocess.run(["chown", "-R", f"{user}:{user}", self.root / volume.lstrip("/")], check=True)
        environment = dict(line.split("=", 1) for line in self.of("ENV")) | {"PRIVATE_TOKEN": "token", "PATH": "/usr/local/bin"}
        command = json.loads(self.of("ENTRYPOINT")[0]) + json.loads(self.of("CMD")[0])
        inside = [shutil.which("chroot", path=f"{os.environ['PATH']}:/usr/sbin"), f"--userspec={user}:{user}", self.root]
        log = open(self.root / "log", "w")
        self.addCleanup(log.close)
        server = subprocess.Popen([*inside, *command, "--bind=127.0.0.1:0", "--port-file=/models/port"], env=environment, stdout=log, stderr=log)
        self.addCleanup(server.kill)
        port = self.root / "models/port"
        health = re.search(r"CMD (\[.*\])", self.of("HEALTHCHECK")[0])
        end = time.monotonic() + PATIENCE
        ready = lambda: port.exists() and port.read_text().strip() and subprocess.run(
            [*inside, *json.loads(health[1]), "--ready", "--port", port.read_text().strip()], env=environment, capture_output=True
        ).returncode == 0
        while not ready():
            self.assertIsNone(server.poll(), (self.root / "log").read_text())
            self.assertLess(time.monotonic(), end, (self.root / "log").read_text())
            time.sleep(0.1)
        server.terminate()
        self.assertEqual(server.wait(PATIENCE), 0)


class Running(unittest.TestCase):
    """The containers of the chart, started here."""

    def setUp(self):
        self.place = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.place)
        self.secrets = {"roomcast": {"tokens": "read:reader,admin:admin", "metrics-token": "reader"}}
        self.objects = render(EVERYTHING)
        [holidays] = [one["data"] for one in of_kind(self.objects, "ConfigMap") if "holidays.csv" in one["data"]]
        self.mounts = {"/var/lib/roomcast": self.place / "data", "/tmp": self.place / "tmp", "/etc/roomcast": self.place / "site"}
        for directory in self.mounts.values():
            directory.mkdir()
        (self.place / "site/holidays.csv").write_text(holidays["holidays.csv"])
        self.binary = shutil.copy(ROOMCAST, self.place)
        self.run_binary("import", "--timezone=Europe/Berlin", f"--store={self.place}/data/readings.db", str(ROOT / "data/device_activations.csv"))
        # Whoever is root here runs it as the user of the manifests, who can write nothing but these.
        self.user = {"user": USER, "group": USER, "extra_groups": []} if os.geteuid() == 0 else {}
        if self.user:
            self.place.chmod(0o755)
            for directory in (self.mounts["/var/lib/roomcast"], self.mounts["/tmp"]):
                for path in (directory, *directory.iterdir()):
                    os.chown(path, USER, USER)

    def run_binary(self, *arguments):
        subprocess.run([self.binary, *arguments], check=True, capture_output=True, timeout=PATIENCE)

    def placed(self, text: str) -> str:
        mounted = next((path for path in self.mounts if text.startswith(path)), None)
        return f"{self.mounts[mounted]}{text[len(mounted):]}" if mounted else text

    def start(self, pod: dict, log: str, *more: str) -> subprocess.Popen:
        [container] = pod["spec"]["containers"]
        environment = {"TMPDIR": str(self.mounts["/tmp"])}
        for variable in container["env"]:
            key = variable.get("valueFrom", {}).get("secretKeyRef")
            environment[variable["name"]] = self.secrets[key["name"]][key["key"]] if key else self.placed(variable["value"])
        command = [self.binary, *container["args"], *more]
        with open(self.place / log, "w") as file:
            return subprocess.Popen(command, cwd="/", env=environment, stdout=file, stderr=file, **self.user)

    def ask(self, path: str, token: str | None = None) -> int:
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}")
        if token:
            request.add_header("Authorization", f"Bearer {token}")
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0

    def until(self, what: str, holds) -> None:
        end = time.monotonic() + PATIENCE
        while not holds():
            if self.server.poll() is not None:
                self.fail(f"the server has ended: {(self.place / 'server.log').read_text()}")
            self.assertLess(time.monotonic(), end, f"no {what}")
            time.sleep(0.1)

    def test_server_and_retraining(self):
        [deployment], [job] = deployed(self.objects, "server"), of_kind(self.objects, "CronJob")
        pod = deployment["spec"]["template"]
        port_file = self.mounts["/tmp"] / "port"
        self.server = self.start(pod, "server.log", "--bind=127.0.0.1:0", f"--port-file={port_file}")
        self.addCleanup(self.server.kill)
        self.until("port", lambda: port_file.exists() and port_file.read_text().strip())
        self.port = int(port_file.read_text())
        [container] = pod["spec"]["containers"]
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            path = container[probe]["httpGet"]["path"]
            self.until(path, lambda: self.ask(path) == 200)
        [monitor] = of_kind(self.objects, "ServiceMonitor")
        [endpoint] = monitor["spec"]["endpoints"]
        credentials = endpoint["authorization"]["credentials"]
        self.assertEqual(self.ask(endpoint["path"]), 401)
        self.assertEqual(self.ask(endpoint["path"], self.secrets[credentials["name"]][credentials["key"]]), 200)
        self.assertEqual(self.ask("/predict", "reader"), 200)
        retraining = self.start(job["spec"]["jobTemplate"]["spec"]["template"], "retrain.log")
        self.assertEqual(retraining.wait(PATIENCE), 0, (self.place / "retrain.log").read_text())
        self.assertTrue((self.mounts["/var/lib/roomcast"] / "models/current").exists())
        self.assertEqual(self.ask("/healthz"), 200)
        self.server.send_signal(signal.SIGTERM)
        self.assertEqual(self.server.wait(pod["spec"]["terminationGracePeriodSeconds"]), 0)


if __name__ == "__main__":
    unittest.main(verbosity=1)
