"""The crates in a program: their bill of materials (CycloneDX) and their licence texts."""

from __future__ import annotations

import json
import re
import subprocess
import time
import tomllib
import uuid
import zlib
from collections import defaultdict
from pathlib import Path
from typing import Any

LICENCE_FILE = re.compile(r"^(licen[cs]e|copying|copyright|notice|unlicense)", re.IGNORECASE)
# Folders of a crate that bring code of others, such as a C library, are at most this deep.
MAX_DEPTH = 3
MAX_LICENCE_BYTES = 200_000


class Crates:
    """What cargo knows of the workspace."""

    def __init__(self, root: Path, target: str) -> None:
        command = ["cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", target]
        self.metadata = json.loads(subprocess.run(command, cwd=root, check=True, stdout=subprocess.PIPE).stdout)
        self.packages = {package["id"]: package for package in self.metadata["packages"]}
        self.nodes = {node["id"]: node for node in self.metadata["resolve"]["nodes"]}
        locked = tomllib.loads((root / "Cargo.lock").read_text())["package"]
        self.checksums = {(entry["name"], entry["version"]): entry.get("checksum") for entry in locked}

    def of(self, program: str) -> dict[str, list[str]]:
        """Returns the crates that are linked into a program, with what each uses, by name and version."""
        members = self.metadata["workspace_members"]
        root = next(member for member in members if self.packages[member]["name"] == program)
        found: dict[str, list[str]] = {}
        waiting = [root]
        while waiting:
            crate = waiting.pop()
            if crate in found:
                continue
            # Neither dependencies of tests nor those of build scripts are in the program.
            used = [d["pkg"] for d in self.nodes[crate]["deps"] if any(kind["kind"] is None for kind in d["dep_kinds"])]
            used = [d for d in used if not self._is_macro(d)]
            found[crate] = sorted(used, key=self._key)
            waiting += used
        return {crate: found[crate] for crate in sorted(found, key=self._key)}

    def bill(self, program: str, epoch: int) -> bytes:
        """Returns the CycloneDX bill of materials of a program."""
        crates = self.of(program)
        root = next(crate for crate in crates if self.packages[crate]["name"] == program)
        bill: dict[str, Any] = {
            "bomFormat": "CycloneDX",
            "specVersion": "1.5",
            "version": 1,
            "metadata": {
                "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(epoch)),
                "component": self._component(root, "application"),
            },
            "components": [self._component(crate, "library") for crate in crates if crate != root],
            "dependencies": [
                {"ref": self._purl(crate), "dependsOn": [self._purl(used) for used in uses]} for crate, uses in crates.items()
            ],
        }
        serial = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(bill, sort_keys=True))
        return (json.dumps({**bill, "serialNumber": f"urn:uuid:{serial}"}, indent=1) + "\n").encode()

    def audit(self, program: str) -> bytes:
        """Returns the list of crates that scanners look for in a program, in the form of `cargo auditable`."""
        crates = list(self.of(program).items())
        places = {crate: place for place, (crate, _) in enumerate(crates)}
        entries = []
        for crate, uses in crates:
            name, version = self._key(crate)
            source = "crates.io" if self.packages[crate]["source"] else "local"
            entry: dict[str, Any] = {"name": name, "version": version, "source": source}
            if uses:
                entry["dependencies"] = sorted(places[used] for used in uses)
            if name == program:
                entry["root"] = True
            entries.append(entry)
        return zlib.compress(json.dumps({"packages": entries, "format": 1}, separators=(",", ":")).encode(), 9)

    def licences(self, *programs: str) -> bytes:
        """Returns the licence texts of all crates that are not ours, each text once."""
        crates = sorted({crate for program in programs for crate in self.of(program)}, key=self._key)
        texts: dict[str, list[str]] = defaultdict(list)
        without = []
        for crate in crates:
            package = self.packages[crate]
            if package["source"] is None:
                continue
            name = f"{package['name']} {package['version']} ({package['license']})"
            files = list(_licence_files(Path(package["manifest_path"]).parent))
            if not files:
                without.append(name)
            for file in files:
                text = file.read_text(encoding="utf-8", errors="replace").strip()
                if name not in texts[text]:
                    texts[text].append(name)
        parts = ["Licences of the libraries in Roomcast.\n"]
        parts += [f"{'=' * 80}\n" + "\n".join(names) + f"\n{'-' * 80}\n{text}\n" for text, names in texts.items()]
        parts.append(f"{'=' * 80}\nThese are published without a licence text:\n" + "\n".join(without) + "\n")
        return "\n".join(parts).encode()

    def _is_macro(self, crate: str) -> bool:
        return any("proc-macro" in target["kind"] for target in self.packages[crate]["targets"])

    def _key(self, crate: str) -> tuple[str, str]:
        return self.packages[crate]["name"], self.packages[crate]["version"]

    def _purl(self, crate: str) -> str:
        name, version = self._key(crate)
        return f"pkg:cargo/{name}@{version.replace('+', '%2B')}"

    def _component(self, crate: str, kind: str) -> dict[str, Any]:
        package = self.packages[crate]
        name, version = self._key(crate)
        purl = self._purl(crate)
        component: dict[str, Any] = {"type": kind, "bom-ref": purl, "name": name, "version": version, "purl": purl}
        if package["license"]:
            component["licenses"] = [{"expression": package["license"].replace("/", " OR ")}]
        if checksum := self.checksums.get((name, version)):
            component["hashes"] = [{"alg": "SHA-256", "content": checksum}]
        return component


def _licence_files(folder: Path, depth: int = MAX_DEPTH) -> list[Path]:
    found = []
    for entry in sorted(folder.iterdir()):
        if entry.is_dir() and not entry.is_symlink() and depth > 1:
            found += _licence_files(entry, depth - 1)
        elif entry.is_file() and LICENCE_FILE.match(entry.name) and entry.suffix not in (".rs", ".py", ".h", ".cmake"):
            if entry.stat().st_size <= MAX_LICENCE_BYTES:
                found.append(entry)
    return found
