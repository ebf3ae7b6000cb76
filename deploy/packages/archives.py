"""Archives that have the same bytes whenever they are packed: entries in order, one time, no owner of this machine."""

from __future__ import annotations

import gzip
import io
import lzma
import tarfile
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Entry:
    """A file of an archive."""

    content: bytes
    mode: int = 0o644


Tree = dict[str, Entry]


def tar(tree: Tree, epoch: int, *, prefix: str = "", folders: bool = False) -> bytes:
    """Returns a tar of the files, with entries for their folders where a package manager wants them."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
        known: set[str] = set()
        for name in sorted(tree):
            if folders:
                for parent in reversed(Path(name).parents):
                    if str(parent) not in known:
                        known.add(str(parent))
                        title = prefix if str(parent) == "." else f"{prefix}{parent}/"
                        archive.addfile(_info(title, epoch, 0o755, tarfile.DIRTYPE))
            entry = tree[name]
            info = _info(prefix + name, epoch, entry.mode, tarfile.REGTYPE)
            info.size = len(entry.content)
            archive.addfile(info, io.BytesIO(entry.content))
    return buffer.getvalue()


def gz(content: bytes) -> bytes:
    return gzip.compress(content, 9, mtime=0)


def xz(content: bytes) -> bytes:
    # Higher presets take three times as long for two percent.
    return lzma.compress(content, preset=3)


def ar(members: list[tuple[str, bytes]], epoch: int) -> bytes:
    """Returns an archive of ar, the outer form of a Debian package."""
    out = b"!<arch>\n"
    for name, content in members:
        out += f"{name:<16}{epoch:<12}{0:<6}{0:<6}{100644:<8}{len(content):<10}`\n".encode()
        out += content + b"\n" * (len(content) % 2)
    return out


def zip_file(tree: Tree, epoch: int, last: str) -> bytes:
    """Returns a zip of the files, with `last` at the end, as the format of wheels advises for its metadata."""
    when = time.gmtime(max(epoch, 315_532_800))[:6]  # zip begins with 1980
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in sorted(tree, key=lambda name: (name.startswith(last), name)):
            info = zipfile.ZipInfo(name, when)
            info.external_attr = (0o100000 | tree[name].mode) << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, tree[name].content, compresslevel=9)
    return buffer.getvalue()


def _info(name: str, epoch: int, mode: int, kind: bytes) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.mtime, info.mode, info.type = epoch, mode, kind
    info.uname = info.gname = "root"
    return info
