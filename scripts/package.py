"""Packaging: one zip for each function in dist/, the same bytes on each run and machine.

A zip holds its family, the modules of `shared` and `migrations` that it imports (also those inside functions), their
data files, an entry `main.py`, and `requirements.txt`: the part of the lock that this code imports.
dist/manifest.json has the SHA-256 of each, so that only functions whose zip changed are deployed.
"""

import argparse
import hashlib
import json
import sys
import zipfile
from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path

import yaml

from scripts.imports import Distributions, Source, imported_from, lock_entries, with_dependencies

GATEWAY = "gateway"
FIXED_TIME = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can name
FILE_MODE = 0o100644 << 16  # a plain file, readable by all
DATA_SUFFIXES = frozenset({".md", ".html", ".js", ".css", ".json", ".svg"})
ALWAYS = frozenset({"functions-framework"})  # what starts an entry point


class CannotPackage(Exception):
    """Something is imported that no package of the lock has; the message names it."""


def families(root: Path) -> list[str]:
    """Return the families of the manifest and the gateway, each of which becomes a zip."""
    manifest = yaml.safe_load((root / "functions" / "manifest.yaml").read_text())
    return [*manifest["functions"], GATEWAY]


def contents(root: Path, family: str) -> dict[str, bytes]:
    """Return what the zip of a family holds, by path. Raises CannotPackage."""
    source = Source(root)
    wanted = families(root) if family == GATEWAY else [family]  # the gateway imports what the manifest lists
    modules, outside = imported_from(source, [f"functions.{name}.main" for name in wanted])
    files = {path.relative_to(root).as_posix(): path.read_bytes() for path in map(source.path, modules)}
    files |= {path.relative_to(root).as_posix(): path.read_bytes() for path in _data_files(root, family, wanted)}
    files["main.py"] = _entry(family)
    files["requirements.txt"] = _requirements(root, outside)
    return files


def _data_files(root: Path, family: str, wanted: list[str]) -> Iterator[Path]:
    for name in wanted:
        for path in (root / "functions" / name).rglob("*"):
            if (path.suffix in DATA_SUFFIXES and path.name != "README.md") or path.name == "LICENSE":
                yield path
    if family == GATEWAY:
        yield root / "functions" / "manifest.yaml"
        yield root / "docs" / "openapi.json"  # what /docs shows


def _entry(family: str) -> bytes:
    return (
        f'"""Where functions-framework finds the function."""\n\nfrom functions.{family}.main import {family}\n\n'
        f'__all__ = ["{family}"]\n'
    ).encode()


def _requirements(root: Path, outside: Mapping[str, str]) -> bytes:
    """Return the part of the lock that these imports need. `outside`: module → the file that imports it."""
    lock = lock_entries((root / "requirements.txt").read_text())
    installed = Distributions()
    needed = set(ALWAYS)
    for module, importer in outside.items():
        name = installed.of_module(module)
        if name is None or name not in lock:
            raise CannotPackage(f"{importer} imports {module}, which is in no package of requirements.txt")
        needed.add(name)
    return "".join(lock[name].text for name in sorted(with_dependencies(lock, needed))).encode()


def zip_bytes(files: Mapping[str, bytes]) -> bytes:
    """Return a zip of these files. The same files give the same bytes."""
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path in sorted(files):
            entry = zipfile.ZipInfo(path, FIXED_TIME)
            entry.external_attr = FILE_MODE
            entry.create_system = 3  # Unix, whatever packs it
            # Stored, not deflated: zlib's output differs between versions, and Google stores the zips for cents.
            archive.writestr(entry, files[path], zipfile.ZIP_STORED)
    return buffer.getvalue()


def package(root: Path, target: Path, names: list[str]) -> dict[str, dict[str, str | int]]:
    """Write the zips of these functions and the list of their hashes. Return the list. Raises CannotPackage."""
    target.mkdir(parents=True, exist_ok=True)
    packed: dict[str, dict[str, str | int]] = {}
    for number, name in enumerate(names, 1):
        _say(f"packing {number}/{len(names)} {name}")
        content = zip_bytes(contents(root, name))
        _replace(target / f"{name}.zip", content)
        packed[name] = {
            "sha256": hashlib.sha256(content).hexdigest(),
            "bytes": len(content),
            # Its name in the bucket: a function's source says which package it was built from.
            "object": f"{name}-{hashlib.md5(content, usedforsecurity=False).hexdigest()}.zip",
        }
    for stale in set(target.glob("*.zip")) - {target / f"{name}.zip" for name in names}:
        stale.unlink()
    _replace(target / "manifest.json", (json.dumps({"functions": packed}, indent=2) + "\n").encode())
    return packed


def _replace(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    half = path.with_suffix(".part")
    half.write_bytes(content)
    half.replace(path)


def _say(line: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{line}", end="", file=sys.stderr, flush=True)
    else:
        print(line, file=sys.stderr, flush=True)


def _table(packed: Mapping[str, Mapping[str, str | int]]) -> str:
    rows = [f"{name:<14} {int(zipped['bytes']) / 1024:8.1f} KiB  {zipped['sha256']}" for name, zipped in packed.items()]
    return "\n".join([f"{'function':<14} {'size':>12}  SHA-256", *rows])


def main() -> int:
    """Package all functions. Return the exit status."""
    parser = argparse.ArgumentParser(prog="make package", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--root", type=Path, default=Path(__file__).parent.parent, help="the source tree (this one)")
    parser.add_argument("--target", type=Path, default=Path("dist"), help="where the zips go (dist)")
    arguments = parser.parse_args()
    try:
        packed = package(arguments.root.resolve(), arguments.target, families(arguments.root))
    except CannotPackage as error:
        print(f"make package: {error}", file=sys.stderr)
        return 1
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr, flush=True)
    print(_table(packed))
    return 0


if __name__ == "__main__":
    sys.exit(main())
