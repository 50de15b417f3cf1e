"""`make new-family NAME=note`: write the skeleton of a family that works, with its tests and its row in the manifest.

What is left to say is told by tests that fail: what it is for, in README.md and docs/.
"""

import argparse
import keyword
import re
import subprocess
import sys
from pathlib import Path
from string import Template

ROOT = Path(__file__).parent.parent.parent
TEMPLATES = Path(__file__).parent / "templates"
MAX_NAME_CHARACTERS = 17  # of a service account's 30: liftlog-<name>-prod
FILES = {  # template: what becomes of it
    "main.py": "functions/${name}/main.py",
    "schemas.py": "functions/${name}/schemas.py",
    "data.py": "shared/data/${names}.py",
    "migration.py": "migrations/versions/${revision}_add_${names}.py",
    "examples.py": "tests/examples/${name}.py",
    "test.py": "tests/functions/test_${name}.py",
}
OUTCOME = '''

class Unknown${Name}(ServiceError):
    """The database has no such ${word}."""
'''
PROBLEM = '    errors.Unknown${Name}: (404, "unknown-${slug}", "There is no such ${word}.", {}),\n'
APP_PATH = '    "${slug}(/delete|/[^/]+/[^/]+)?",\n'
REMAINING = """Left to do, as tests tell by failing:

  what it is          functions/${name}, shared/data/${names}.py, ${migration}
  its statements      a call in tests/shared/test_statistics_that_lie.py, many rows in tests/crowded.py
  README.md           a row for each route in the table "Routes"
  docs/api.md         routes and fields, limits, the problem unknown-${slug}
  docs/database.md    the table ${names}

If it expires, functions/cleanup/sweep.py needs a task. If its speed matters, bench/routes.py needs a case.
After each change of a route or a schema: make openapi. After one of the row in functions/manifest.yaml: make costs.
The recipe is in README.md, "Adding a family"; docs/style.md says how such code reads."""


class CannotMake(Exception):
    """The family cannot be made; the message says why. Nothing was written."""


def words(root: Path, name: str) -> dict[str, str]:
    """Return what the templates' words stand for. Raises CannotMake."""
    if not re.fullmatch(r"[a-z]+(_[a-z]+)*", name) or keyword.iskeyword(name) or len(name) > MAX_NAME_CHARACTERS:
        raise CannotMake(f"NAME is one thing in lower case, like note or training_day, of up to {MAX_NAME_CHARACTERS}")
    *_, last = sorted((root / "migrations" / "versions").glob("[0-9]*.py"))
    parts = name.split("_")
    camel = "".join(part.capitalize() for part in parts)
    revision = f"{int(last.name[:4]) + 1:04}"
    return {
        "name": name, "names": f"{name}s", "Name": camel, "wire": camel[0].lower() + camel[1:],
        "word": " ".join(parts), "words": f"{' '.join(parts)}s", "Words": f"{' '.join(parts)}s".capitalize(),
        "slug": "-".join(parts), "path": f"/{'-'.join(parts)}",
        "revision": revision, "down_revision": last.name[:4],
        "migration": f"migrations/versions/{revision}_add_{name}s.py",
    }  # fmt: skip


def make(root: Path, name: str) -> dict[str, str]:
    """Write a family below `root` and return the words it was made of. Raises CannotMake."""
    known = words(root, name)
    files = {root / filled(target, known): template(source, known) for source, target in FILES.items()}
    files[root / "functions" / name / "__init__.py"] = ""
    for path in files:
        if path.exists():
            raise CannotMake(f"{path.relative_to(root)} is there already")
    errors = (root / "shared" / "errors.py").read_text()
    if filled("class Unknown${Name}(", known) in errors:
        raise CannotMake(filled("shared/errors.py has Unknown${Name} already", known))
    files |= {
        root / "functions" / "manifest.yaml": with_row(root, template("manifest.yaml", known)),
        root / "shared" / "errors.py": errors + filled(OUTCOME, known),
        root / "shared" / "http" / "problems.py": with_problem(root, filled(PROBLEM, known)),
        root / "shared" / "http" / "routes.py": with_app_path(root, filled(APP_PATH, known)),
    }
    for path, text in files.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    ruff = Path(sys.executable).with_name("ruff")
    sources = [path for path in files if path.suffix == ".py"]
    for step in ("check --quiet --fix --select I", "format --quiet"):  # a name may be short or long
        subprocess.run([ruff, *step.split(), *sources], cwd=root, check=True)
    return known


def filled(text: str, known: dict[str, str]) -> str:
    return Template(text).substitute(known)


def template(name: str, known: dict[str, str]) -> str:
    return filled((TEMPLATES / f"{name}.txt").read_text(), known)


def with_row(root: Path, row: str) -> str:
    """Return the manifest with one more family, the last one."""
    text = (root / "functions" / "manifest.yaml").read_text()
    functions = re.search(r"^functions:\n(?: .*\n)*", text, re.MULTILINE)
    if functions is None:
        raise CannotMake("functions/manifest.yaml has no functions")
    return text[: functions.end()] + row + text[functions.end() :]


def with_problem(root: Path, line: str) -> str:
    """Return the table of problems with one more 404."""
    text = (root / "shared" / "http" / "problems.py").read_text()
    *_, last = re.finditer(r"^    errors\.\w+: \(404, .*\n", text, re.MULTILINE)
    return text[: last.end()] + line + text[last.end() :]


def with_app_path(root: Path, line: str) -> str:
    """Return the router with one more path, on which nothing but the database says 404."""
    text = (root / "shared" / "http" / "routes.py").read_text()
    paths = re.search(r"^APP_PATHS = \(\n(?: .*\n)*", text, re.MULTILINE)
    if paths is None:
        raise CannotMake("shared/http/routes.py has no APP_PATHS")
    return text[: paths.end()] + line + text[paths.end() :]


def main() -> int:
    """Make a family. Return the exit status."""
    parser = argparse.ArgumentParser(prog="make new-family", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("name", metavar="NAME", help="one of its things, like note or training_day")
    arguments = parser.parse_args()
    try:
        known = make(ROOT, arguments.name)
    except CannotMake as error:
        print(f"make new-family: {error}", file=sys.stderr)
        return 1
    for module in ("docgen.openapi", "docgen.costs"):  # in new processes, which know the family
        subprocess.run([sys.executable, "-m", module], cwd=ROOT, check=True)
    print(filled(REMAINING, known))
    return 0


if __name__ == "__main__":
    sys.exit(main())
