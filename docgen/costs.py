"""`make costs`: what the service costs each month, from the manifest and the sizes in terraform/, in docs/costs.md."""

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "costs.md"
SUMMARY = ROOT / "docs" / "infrastructure.md"
HOURS = 730.0  # in a month
SECONDS = HOURS * 3600
DAYS = HOURS / 24
MILLION = 1e6
KB_PER_GB = 1e6

GOOGLE = "read there on 24 November 2026"  # in a copy of the page whose own date is not known
BUILDS = "read there on 28 November 2026, a copy of August 2025"
QUOTED = "quoted from there on 20 September 2026"
OTHERS = "**look it up**: from somebody else's page of May 2026"
MEMORY = "**look it up**: from memory, November 2026"


@dataclass(frozen=True, slots=True)
class Price:
    """A list price of us-central1 in US dollars, and how it is known."""

    usd: float
    unit: str
    page: str  # below cloud.google.com, unless it names a host
    source: str = GOOGLE


PRICES = {
    "function's CPU, answering": Price(24e-6, "vCPU-second", "run/pricing"),
    "function's memory": Price(2.5e-6, "GiB-second", "run/pricing"),
    "function's CPU, idle (least instances)": Price(2.5e-6, "vCPU-second", "run/pricing"),
    "function's requests": Price(0.40, "million after 2 million", "run/pricing"),
    "ai_chat's CPU, while an instance lives": Price(18e-6, "vCPU-second", "run/pricing"),
    "ai_chat's memory": Price(2e-6, "GiB-second", "run/pricing"),
    "load balancer's forwarding rule": Price(0.025, "hour", "load-balancing/pricing"),
    "load balancer's traffic, in and out": Price(0.008, "GiB", "load-balancing/pricing"),
    "log lines": Price(0.50, "GiB after 50 GiB", "stackdriver/pricing"),
    "secret's version": Price(0.06, "month after 6", "secret-manager/pricing"),
    "secret's reading": Price(0.03, "10 000 after 10 000", "secret-manager/pricing"),
    "Cloud SQL's CPU": Price(0.0413, "vCPU-hour", "sql/pricing", OTHERS),
    "Cloud SQL's memory": Price(0.007, "GiB-hour", "sql/pricing", OTHERS),
    "Cloud SQL's db-g1-small": Price(0.035, "hour", "sql/pricing", MEMORY),
    "Cloud SQL's SSD": Price(0.17, "GiB-month", "sql/pricing", MEMORY),
    "Cloud SQL's backups": Price(0.08, "GiB-month", "sql/pricing", MEMORY),
    "Cloud Armor's policy": Price(5, "month", "armor/pricing", MEMORY),
    "Cloud Armor's rule": Price(1, "month", "armor/pricing", MEMORY),
    "Cloud Armor's requests": Price(0.75, "million", "armor/pricing", MEMORY),
    "traffic to the internet": Price(0.12, "GiB", "vpc/network-pricing", QUOTED),
    "pipeline's e2-highcpu-8": Price(0.016, "minute, none of them free", "build/pricing", BUILDS),
    "functions' builds, e2-standard-2": Price(0.006, "minute after 2 500", "build/pricing", BUILDS),
    "alert's condition": Price(0.10, "month", "stackdriver/pricing", MEMORY),
    "backups of phones": Price(0.02, "GiB-month", "storage/pricing", MEMORY),
    "backups' writing": Price(0.05, "10 000 requests", "storage/pricing", MEMORY),
    "images": Price(0.10, "GiB-month after 0.5 GiB", "artifact-registry/pricing", MEMORY),
    "language model, read": Price(2, "million tokens", "openai.com/api/pricing", MEMORY),
    "language model, written": Price(8, "million tokens", "openai.com/api/pricing", MEMORY),
}


@dataclass(frozen=True, slots=True)
class Size:
    """What terraform makes of an environment; tests/docgen/test_costs.py compares it with the plan."""

    environment: str
    database_tier: str
    database_is_regional: bool
    disk_gib: int
    forwarding_rules: int
    secrets: int
    alerts: int


STAGING = Size(
    "staging", "db-g1-small", database_is_regional=False, disk_gib=10,
    forwarding_rules=0, secrets=9, alerts=27,
)  # fmt: skip
PRODUCTION = Size(
    "production", "db-custom-2-7680", database_is_regional=True, disk_gib=10,
    forwarding_rules=1, secrets=9, alerts=28,
)  # fmt: skip

# 100 000 users, and what they do. Assumptions: nobody has measured them.
USERS = 100_000
ACTIVE = 0.4  # open the app on a day; how often they ask is in the manifest
FIXED_ARMOR_RULES = 9  # beside those of routes: size, six against attacks, everything else, default
BILLED_SECONDS = 0.1  # of an instance for a request: the least there is; requests at once share it, which is left out
AI_SECONDS = 20.0
TRAFFIC_KB = {"in": 1.5, "out": 5.0}  # of a request
LOG_KB = 1.0
DATABASE_GIB = 30  # 2.2 million events of 5 KB (90 days, 0.6 on an active day), profiles of 20 KB, indexes, room
BACKUP_GIB = {"idle": 10, "busy": 60}
CHAT_HOURS_A_DAY = 16  # that one instance of ai_chat lives
SUBSCRIBERS = 0.02
TURNS = 20  # of a subscriber in a month, with the planner
TOKENS = {"read": 4000, "written": 1000}  # of a turn
PROBES_PER_MINUTE = 6  # the uptime check's
PHONES_WITH_BACKUPS = 0.05  # of the users, where `keep_phone_backups` is true
BACKUPS_MIB = 30 * 3  # that are kept of one phone: a year of workouts, and what versioning keeps for a month
WRITES = 4  # requests to Cloud Storage for a backup of 3 MiB
IMAGE_GIB = 8
RELEASES = {"staging": 8, "production": 4}  # in a month
PIPELINE_MINUTES = 30  # of one release on E2_HIGHCPU_8 (cloudbuild.yaml), which no free minutes cover
BUILD_MINUTES = 2.0  # of one function; Cloud Functions' own builds take the default machine, e2-standard-2
SECRET_READS = 12 * HOURS  # of one secret by one instance: every five minutes


@dataclass(frozen=True, slots=True)
class CostLine:
    """A row of the table, in dollars a month."""

    what: str
    staging: float
    idle: float
    busy: float


def usd(price: str, quantity: float) -> float:
    return PRICES[price].usd * max(quantity, 0.0)


def requests_per_month(functions: dict[str, dict[str, Any]]) -> dict[str, float]:
    """Return how many requests 100 000 users send in a month to each family that is asked by them."""
    daily = {family: row.get("requests_per_user_day", 0) for family, row in functions.items()}
    return {family: count * USERS * ACTIVE * DAYS for family, count in daily.items() if count}


def armor_rules(functions: dict[str, dict[str, Any]]) -> int:
    """Return how many rules the load balancer's policy has."""
    return FIXED_ARMOR_RULES + sum(len(row.get("limits_per_minute", ())) for row in functions.values())


def lines(functions: dict[str, dict[str, Any]]) -> list[CostLine]:
    """Return the table's rows, from the manifest's functions."""
    requests = requests_per_month(functions)
    total, probes = sum(requests.values()), PROBES_PER_MINUTE * 60 * HOURS
    turns = USERS * SUBSCRIBERS * TURNS
    gib = {way: kb * total / KB_PER_GB for way, kb in TRAFFIC_KB.items()}
    answering = sum(_answering(functions[name], name, count) for name, count in requests.items())
    probing = _answering(functions["health"], "health", probes)
    kept, kept_staging = (_kept(functions, env) for env in ("production", "staging"))
    armor = usd("Cloud Armor's policy", 1) + usd("Cloud Armor's rule", armor_rules(functions))
    backups = {load: usd("Cloud SQL's backups", gib) for load, gib in BACKUP_GIB.items()}
    grown = replace(PRODUCTION, disk_gib=DATABASE_GIB)
    images = usd("images", IMAGE_GIB - 0.5)
    minutes = BUILD_MINUTES * len(functions) * sum(RELEASES.values())
    built = usd("functions' builds, e2-standard-2", minutes - 2500)
    model = sum(usd(f"language model, {way}", turns * count / MILLION) for way, count in TOKENS.items())
    return [
        CostLine("Cloud SQL: the machine, twice where it has a standby", *_both(_database)),
        CostLine("Cloud SQL: storage", _disk(STAGING), _disk(PRODUCTION), _disk(grown)),
        CostLine("Cloud SQL: backups", backups["idle"], backups["idle"], backups["busy"]),
        CostLine("functions: instances that are always there", kept_staging, kept, kept),
        CostLine("functions: answering", probing, probing, probing + answering),
        CostLine("functions: requests", 0, 0, usd("function's requests", (total + probes) / MILLION - 2)),
        CostLine("ai_chat: while an instance lives", 0, 0, _chat(functions["ai_chat"])),
        CostLine("load balancer: forwarding rule", *_both(_forwarding)),
        CostLine("load balancer: traffic", 0, 0, usd("load balancer's traffic, in and out", gib["in"] + gib["out"])),
        CostLine("Cloud Armor: policy and rules", 0, armor, armor),
        CostLine("Cloud Armor: requests", 0, 0, usd("Cloud Armor's requests", total / MILLION)),
        CostLine("traffic to phones", 0, 0, usd("traffic to the internet", gib["out"])),
        CostLine("log lines", 0, 0, usd("log lines", LOG_KB * total / KB_PER_GB - 50)),
        CostLine("secrets, and reading them", _secrets(STAGING, 1), _secrets(PRODUCTION, 3), _secrets(PRODUCTION, 6)),
        CostLine("alerts", *_both(lambda size: usd("alert's condition", size.alerts))),
        CostLine("backups of phones, where they are kept", 0, 0, _phone_backups(requests["backup"])),
        CostLine("images, packages, state", images, images, images),
        CostLine("builds: the pipeline", _pipeline(STAGING), _pipeline(PRODUCTION), _pipeline(PRODUCTION)),
        CostLine("builds: functions", built, built, built),
        CostLine("the language model (not Google's)", 0, 0, model),
    ]  # fmt: skip


def _both(cost: Callable[[Size], float]) -> tuple[float, float, float]:
    """Return what depends on nothing but the environment."""
    return cost(STAGING), cost(PRODUCTION), cost(PRODUCTION)


def _answering(row: dict[str, Any], family: str, requests: float) -> float:
    seconds = requests * (AI_SECONDS if family == "ai" else BILLED_SECONDS)
    memory = usd("function's memory", seconds * row["memory"] / 1024)
    return usd("function's CPU, answering", seconds * row["cpu"]) + memory


def _kept(functions: dict[str, dict[str, Any]], environment: str) -> float:
    total = 0.0
    for row in functions.values():
        seconds = row["instances"][environment][0] * SECONDS
        total += usd("function's CPU, idle (least instances)", seconds * row["cpu"])
        total += usd("function's memory", seconds * row["memory"] / 1024)
    return total


def _phone_backups(requests: float) -> float:
    stored = usd("backups of phones", USERS * PHONES_WITH_BACKUPS * BACKUPS_MIB / 1024)
    return stored + usd("backups' writing", requests * WRITES / 10_000)


def _chat(row: dict[str, Any]) -> float:
    seconds = CHAT_HOURS_A_DAY * DAYS * 3600
    memory = usd("ai_chat's memory", seconds * row["memory"] / 1024)
    return usd("ai_chat's CPU, while an instance lives", seconds * row["cpu"]) + memory


def _database(size: Size) -> float:
    machines = 2 if size.database_is_regional else 1
    if size.database_tier == "db-g1-small":
        return usd("Cloud SQL's db-g1-small", machines * HOURS)
    cpus, memory_mib = (int(part) for part in size.database_tier.removeprefix("db-custom-").split("-"))
    return usd("Cloud SQL's CPU", machines * cpus * HOURS) + usd(
        "Cloud SQL's memory", machines * memory_mib / 1024 * HOURS
    )


def _disk(size: Size) -> float:
    return usd("Cloud SQL's SSD", size.disk_gib * (2 if size.database_is_regional else 1))


def _pipeline(size: Size) -> float:
    return usd("pipeline's e2-highcpu-8", RELEASES[size.environment] * PIPELINE_MINUTES)


def _forwarding(size: Size) -> float:
    return usd("load balancer's forwarding rule", size.forwarding_rules * HOURS)


def _secrets(size: Size, instances: int) -> float:
    reads = SECRET_READS * instances * 2  # the database's password, and another
    return usd("secret's version", size.secrets - 6) + usd("secret's reading", reads / 10_000 - 1)


def _functions() -> dict[str, dict[str, Any]]:
    functions: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "functions" / "manifest.yaml").read_text())[
        "functions"
    ]
    return functions


def sums() -> CostLine:
    """Return the table's last row."""
    rows = lines(_functions())
    return CostLine("together", sum(r.staging for r in rows), sum(r.idle for r in rows), sum(r.busy for r in rows))


def tables() -> dict[str, str]:
    """Return the page's tables by name."""
    functions = _functions()
    rows, total = lines(functions), sums()
    cost = [
        "| each month, US dollars | staging | production, idle | production, 100 000 users |",
        "| --- | ---: | ---: | ---: |",
    ]
    cost += [f"| {row.what} | {_dollars(row.staging)} | {_dollars(row.idle)} | {_dollars(row.busy)} |" for row in rows]
    cost.append(f"| **together** | **{total.staging:,.0f}** | **{total.idle:,.0f}** | **{total.busy:,.0f}** |")
    prices = ["| price | US dollars | for each | source |", "| --- | ---: | --- | --- |"]
    prices += [
        f"| {name} | {price.usd:.8f}".rstrip("0").rstrip(".") + f" | {price.unit} | {_source(price)} |"
        for name, price in PRICES.items()
    ]
    requests = ["| family | of an active user on a day | million a month | a second | at five times the mean |"]
    requests.append("| --- | ---: | ---: | ---: | ---: |")
    for family, count in requests_per_month(functions).items():
        rate, daily = count / SECONDS, functions[family]["requests_per_user_day"]
        requests.append(f"| `{family}` | {daily:g} | {count / MILLION:.2f} | {rate:.2f} | {5 * rate:.1f} |")
    return {"costs": "\n".join(cost), "requests": "\n".join(requests), "prices": "\n".join(prices)}


def _dollars(amount: float) -> str:
    return "–" if not amount else "< 1" if amount < 1 else f"{amount:,.0f}"


def _source(price: Price) -> str:
    page = price.page if price.page.startswith("openai") else f"cloud.google.com/{price.page}"
    return f"{page}, {price.source}"


def filled(page: str) -> str:
    """Return the page with its tables as they should be."""
    for name, table in tables().items():
        begin, end = f"<!-- {name} -->\n\n", f"\n\n<!-- end of {name} -->"
        page = re.sub(f"{re.escape(begin)}.*?{re.escape(end)}", lambda _: begin + table + end, page, flags=re.DOTALL)  # noqa: B023 - called at once
    return page


def summed_up(page: str) -> str:
    """Return a page with the two sums that it says as they should be."""
    total = sums()
    said = rf"\g<1>{total.staging:.0f}\g<2>{total.idle:.0f}\g<3>"
    return re.sub(r"(About )\d+( dollars a month for staging and )\d+( for production)", said, page)


def main() -> int:
    """Write the tables and the sums. Return the exit status."""
    for path, write in ((PAGE, filled), (SUMMARY, summed_up)):
        path.write_text(write(path.read_text()))
        print(f"{path.relative_to(ROOT)} is written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
