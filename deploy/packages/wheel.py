"""The wheel: the Python package and the command in one file that pip installs.

maturin would call cargo for one crate, which resolves other features of the libraries than the workspace does and compiles
Polars a second time. A wheel is a zip with three files of metadata, so it is packed here from what is built anyway.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from pathlib import Path

from archives import Entry, Tree, zip_file


@dataclass(frozen=True)
class Wheel:
    version: str
    machine: str
    glibc: tuple[int, int]
    epoch: int

    @property
    def name(self) -> str:
        return f"roomcast-{self.version}-{self.tag}.whl"

    @property
    def tag(self) -> str:
        major, minor = self.glibc
        return f"cp310-abi3-manylinux_{major}_{minor}_{self.machine}"

    def pack(self, package: Path, module: bytes, binary: bytes, readme: str, licences: Tree, bills: Tree) -> bytes:
        """Returns the wheel of a folder of Python files, the compiled module and the command."""
        tree: Tree = {}
        for file in sorted(package.iterdir()):
            if file.suffix in (".py", ".pyi", ".typed") or file.name == "py.typed":
                tree[f"roomcast/{file.name}"] = Entry(file.read_bytes())
        tree["roomcast/_roomcast.abi3.so"] = Entry(module, 0o755)
        tree[f"roomcast-{self.version}.data/scripts/roomcast"] = Entry(binary, 0o755)
        about = f"roomcast-{self.version}.dist-info"
        tree |= {f"{about}/licenses/{name}": entry for name, entry in licences.items()}
        tree |= {f"{about}/sboms/{name}": entry for name, entry in bills.items()}
        tree[f"{about}/METADATA"] = Entry(self._metadata(readme, licences).encode())
        head = "Wheel-Version: 1.0\nGenerator: roomcast\nRoot-Is-Purelib: false\n"
        tree[f"{about}/WHEEL"] = Entry(f"{head}Tag: {self.tag}\n".encode())
        record = [f"{name},{_digest(entry.content)},{len(entry.content)}" for name, entry in sorted(tree.items())]
        tree[f"{about}/RECORD"] = Entry(("\n".join(record) + f"\n{about}/RECORD,,\n").encode())
        return zip_file(tree, self.epoch, last=about)

    def _metadata(self, readme: str, licences: Tree) -> str:
        fields = [
            ("Metadata-Version", "2.4"),
            ("Name", "roomcast"),
            ("Version", self.version),
            ("Summary", "Hourly room occupancy forecasts from motion sensors"),
            ("Keywords", "occupancy,forecasting,motion sensors,building automation,heating"),
            ("License-Expression", "MIT OR Apache-2.0"),
            *(("License-File", name) for name in licences),
            ("Classifier", "Operating System :: POSIX :: Linux"),
            ("Classifier", "Programming Language :: Python :: 3"),
            ("Classifier", "Programming Language :: Rust"),
            ("Classifier", "Typing :: Typed"),
            ("Requires-Python", ">=3.10"),
            ("Description-Content-Type", "text/markdown; charset=UTF-8; variant=GFM"),
        ]
        return "".join(f"{name}: {value}\n" for name, value in fields) + f"\n{readme}"


def _digest(content: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    return f"sha256={digest}"
