"""The app for Home Assistant: the folder of deploy/home-assistant with the tarball beside its Dockerfile."""

from __future__ import annotations

import re
from pathlib import Path

from archives import Entry, Tree

FOLDER = Path(__file__).resolve().parents[1] / "home-assistant"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "aarch64"}


def tree(tarball: str, content: bytes, machine: str, changelog: bytes) -> Tree:
    """Returns the files of the folder, for machines of the tarball's kind alone."""
    files = (path for path in sorted(FOLDER.rglob("*")) if path.is_file() and path.suffix != ".svg")
    found: Tree = {str(path.relative_to(FOLDER)): Entry(path.read_bytes(), 0o755 if path.name == "run" else 0o644) for path in files}
    config = re.sub(r"(?m)^arch:\n(  - \w+\n)+", f"arch:\n  - {ARCHITECTURES[machine]}\n", found["config.yaml"].content.decode())
    return {**found, "config.yaml": Entry(config.encode()), "CHANGELOG.md": Entry(changelog), tarball: Entry(content)}
