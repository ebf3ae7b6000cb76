"""The Debian package: the command, its help, and a service with a user and a store of its own."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from pathlib import Path

from archives import Entry, Tree, ar, gz, tar, xz

TEMPLATES = Path(__file__).parent / "debian"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
MAIL = "roomcast@users.noreply.github.com"
# The first release of GCC whose library has an interface, by the last number of GLIBCXX_3.4.
GCC_OF_INTERFACE = {28: "10", 29: "11", 30: "12", 31: "13.1", 32: "13.2", 33: "14"}


@dataclass(frozen=True)
class Package:
    version: str
    machine: str
    glibc: tuple[int, int]
    libstdcxx: tuple[int, ...]
    epoch: int

    @property
    def architecture(self) -> str:
        return ARCHITECTURES[self.machine]

    @property
    def name(self) -> str:
        return f"roomcast_{self.version}_{self.architecture}.deb"

    def pack(self, binary: bytes, help_files: Tree, readme: bytes, third_party: bytes, bill: bytes, mit: str) -> bytes:
        """Returns the package of the command and its help files, whose paths begin with `share/`."""
        documents = "usr/share/doc/roomcast"
        tree: Tree = {"usr/bin/roomcast": Entry(binary, 0o755)}
        for name, entry in help_files.items():
            name = f"usr/{name}".replace("/site-functions/", "/vendor-completions/")
            tree[name + ".gz" if "/man/" in name else name] = Entry(gz(entry.content)) if "/man/" in name else entry
        tree["usr/lib/systemd/system/roomcast.service"] = self._template("roomcast.service")
        tree["usr/share/roomcast/roomcast.env"] = self._template("roomcast.env")
        tree[f"{documents}/copyright"] = Entry(_template("copyright").replace("@MIT@", _paragraph(mit)).encode())
        tree[f"{documents}/changelog.gz"] = Entry(gz(self._changelog().encode()))
        tree[f"{documents}/README.md"] = Entry(readme)
        tree[f"{documents}/THIRD-PARTY.txt.gz"] = Entry(gz(third_party))
        tree[f"{documents}/roomcast.cdx.json.gz"] = Entry(gz(bill))
        size = sum(-(-len(entry.content) // 1024) for entry in tree.values())
        control: Tree = {"control": Entry(self._control(size).encode()), "md5sums": Entry(_md5sums(tree))}
        control |= {name: Entry(_template(name).encode(), 0o755) for name in ("postinst", "prerm", "postrm")}
        members = [
            ("debian-binary", b"2.0\n"),
            ("control.tar.xz", xz(tar(control, self.epoch, prefix="./", folders=True))),
            ("data.tar.xz", xz(tar(tree, self.epoch, prefix="./", folders=True))),
        ]
        return ar(members, self.epoch)

    def _control(self, size: int) -> str:
        major, minor = self.glibc
        gcc = GCC_OF_INTERFACE.get(self.libstdcxx[2] if len(self.libstdcxx) > 2 else 0, "5")
        depends = f"libc6 (>= {major}.{minor}), libgcc-s1 (>= 4.2), libstdc++6 (>= {gcc})"
        values = {"VERSION": self.version, "ARCHITECTURE": self.architecture, "SIZE": str(size), "DEPENDS": depends, "MAIL": MAIL}
        text = _template("control")
        for name, value in values.items():
            text = text.replace(f"@{name}@", value)
        return text

    def _changelog(self) -> str:
        when = time.strftime("%a, %d %b %Y %H:%M:%S +0000", time.gmtime(self.epoch))
        news = "  * CHANGELOG.md of the sources says what is new for users."
        return f"roomcast ({self.version}) unstable; urgency=medium\n\n{news}\n\n -- Roomcast maintainers <{MAIL}>  {when}\n"

    def _template(self, name: str) -> Entry:
        return Entry(_template(name).encode())


def _template(name: str) -> str:
    return (TEMPLATES / name).read_text()


def _paragraph(text: str) -> str:
    return "\n".join(f" {line}" if line.strip() else " ." for line in text.strip().splitlines()[2:])


def _md5sums(tree: Tree) -> bytes:
    return "".join(f"{hashlib.md5(tree[name].content).hexdigest()}  {name}\n" for name in sorted(tree)).encode()
