"""The configuration of the cloud: well-formed, valid, and what its plan promises beyond terraform/tests."""

import json
import re
from dataclasses import asdict

import pytest

from shared.service_levels import NOT_IN_LATENCY, SERVICE_LEVELS
from shared.settings.planner import THREADS_BESIDE_CHATS
from shared.worker.incoming import MOST_BODY_BYTES
from tests.examples import ROUTES
from tests.servers import manifest
from tests.terraform.planning import DOMAIN, PROJECT, REGION, ROOT, Plan

PLAYBOOKS = ROOT / "docs" / "playbooks"
KINDS_OF_GRANTS = (
    "google_project_iam_member",
    "google_storage_bucket_iam_member",
    "google_artifact_registry_repository_iam_member",
    "google_secret_manager_secret_iam_member",
    "google_cloud_run_v2_service_iam_member",
)
REDUCERS = {"p95_ms": "REDUCE_PERCENTILE_95", "p99_ms": "REDUCE_PERCENTILE_99"}
LEVELS = {level.metric: level for level in SERVICE_LEVELS}
PRIVATE = {name for name, entry in manifest().items() if entry["access"] == "private"}


def test_the_files_are_formatted(terraform):
    checked = terraform.run("fmt", "-check", "-diff", "-recursive")
    assert checked.returncode == 0, checked.stdout


def test_the_configuration_and_its_bootstrap_are_valid(terraform):
    assert terraform.run("init", "-backend=false", "-input=false", folder="bootstrap").returncode == 0
    for folder in (".", "bootstrap"):
        validated = terraform.run("validate", "-no-color", folder=folder)
        assert validated.returncode == 0, validated.stdout + validated.stderr


def test_every_provider_is_pinned_to_one_version_everywhere():
    """The lock file is not in the repository. 7.32 is the first google that sends a function's `false`."""
    found: dict[str, set[str]] = {}
    for path in (ROOT / "terraform").rglob("*.tf"):
        for name, version in re.findall(r'source = "hashicorp/(\w+)", version = "([^"]+)"', path.read_text()):
            found.setdefault(name, set()).add(version)
    assert {name: len(versions) for name, versions in found.items()} == dict.fromkeys(found, 1)
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for (version,) in found.values())
    (google,) = found["google"]
    assert tuple(map(int, google.split("."))) >= (7, 32, 0)


@pytest.mark.parametrize("name", sorted(path.name for path in (ROOT / "terraform" / "tests").glob("*.tftest.hcl")))
def test_its_own_tests_pass(terraform, name):
    ran = terraform.run("test", "-no-color", f"-filter=tests/{name}")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert re.search(r"Success! \d+ passed, 0 failed", ran.stdout)


# Functions


def services(plan, family):
    """A family's size as it is planned, whether it is a function or a service."""
    functions = plan.of_function("google_cloudfunctions2_function", family)
    if functions:
        (function,) = functions.values()
        config = function["service_config"][0]
        return {
            "name": function["name"],
            "memory": config["available_memory"],
            "cpu": config["available_cpu"],
            "concurrency": config["max_instance_request_concurrency"],
            "timeout": config["timeout_seconds"],
            "instances": [config["min_instance_count"], config["max_instance_count"]],
            "environment": config["environment_variables"],
            "account": config["service_account_email"],
        }
    (service,) = plan.of_function("google_cloud_run_v2_service", family).values()
    template = service["template"][0]
    container = template["containers"][0]
    return {
        "name": service["name"],
        "memory": container["resources"][0]["limits"]["memory"],
        "cpu": container["resources"][0]["limits"]["cpu"],
        "concurrency": template["max_instance_request_concurrency"],
        "timeout": int(template["timeout"].removesuffix("s")),
        "instances": [template["scaling"][0]["min_instance_count"] or 0, template["scaling"][0]["max_instance_count"]],
        "environment": {entry["name"]: entry["value"] for entry in container["env"]},
        "account": template["service_account"],
    }


@pytest.mark.parametrize("family", manifest())
def test_a_function_is_as_large_as_its_row_says(production, family):
    row, planned = manifest()[family], services(production, family)
    assert planned["name"] == f"liftlog-{family.replace('_', '-')}-production"
    assert planned["memory"] == f"{row['memory']}Mi"
    assert planned["cpu"] == str(row["cpu"])
    assert planned["concurrency"] == row["concurrency"]
    assert planned["timeout"] == row["timeout_seconds"]
    assert planned["instances"] == row["instances"]["production"]
    assert planned["account"] == f"liftlog-{family.replace('_', '-')}-prod@{PROJECT}.iam.gserviceaccount.com"


def test_a_new_revision_gets_no_traffic_by_itself(production, staging):
    """From the first on: until a release says so, nothing that Terraform changes reaches a user."""
    for plan in (production, staging):
        functions = plan.all("google_cloudfunctions2_function")
        assert functions
        for address, function in functions.items():
            assert function["service_config"][0]["all_traffic_on_latest_revision"] is False, address


@pytest.mark.parametrize("family", [*manifest(), "operator"])
def test_a_function_has_the_settings_that_its_code_reads(production, family):
    environment = services(production, family)["environment"]
    assert environment["ENVIRONMENT"] == "production"
    assert environment["GCP_PROJECT_ID"] == PROJECT
    assert environment["INSTANCE_CONNECTION_NAME"] == f"{PROJECT}:{REGION}:liftlog-user-data-production"
    assert environment["DB_NAME"] == "liftlog_user_data"
    assert "/liftlog_rate_limit?" in environment["RATE_LIMIT_DATABASE_URL"]
    assert environment["THREADS"] == str(services(production, family)["concurrency"])
    assert (environment.get("OPERATOR_IAM") == "true") == (family in PRIVATE | {"operator"})
    assert ("CLEANUP_JOB" in environment) == (family in {"cleanup", "operator"})
    documented = (ROOT / "docs" / "settings.md").read_text() + (ROOT / "README.md").read_text()
    assert [name for name in environment if f"`{name}`" not in documented] == []


def test_settings_are_handed_on_and_cannot_undo_what_is_made_here(terraform):
    plan = Plan(terraform.plan("staging", settings={"OPENAI_MODEL": "small", "LOG_LEVEL": "DEBUG"}))
    assert services(plan, "gateway")["environment"]["OPENAI_MODEL"] == "small"


def test_chats_have_their_cpu_between_requests_and_threads_beside_them(production):
    (service,) = production.of_function("google_cloud_run_v2_service", "ai_chat").values()
    template = service["template"][0]
    assert template["containers"][0]["resources"][0]["cpu_idle"] is False
    assert template["timeout"] == "3600s"
    assert template["session_affinity"] is False
    assert service["build_config"][0]["function_target"] == "ai_chat"
    environment = services(production, "ai_chat")["environment"]
    assert int(environment["THREADS"]) == int(environment["CHAT_LIMIT"]) + THREADS_BESIDE_CHATS
    assert len(production.all("google_cloud_run_v2_service")) == 1


def test_the_gateway_of_staging_asks_operators_itself(staging):
    environment = services(staging, "gateway")["environment"]
    assert "OPERATOR_IAM" not in environment
    assert int(environment["THREADS"]) >= int(environment["CHAT_LIMIT"]) + THREADS_BESIDE_CHATS


# Who may do what


def test_an_identity_may_do_what_its_function_does_and_nothing_else(production):
    """Per function: its secrets, its database instance, and for the cleanup its job; nothing else in the project."""
    grants = {
        address: values
        for kind in ("google_project_iam_member", "google_secret_manager_secret_iam_member")
        for address, values in production.all(kind).items()
    }
    for family, row in manifest().items():
        member = f"serviceAccount:liftlog-{family.replace('_', '-')}-prod@{PROJECT}.iam.gserviceaccount.com"
        own = [values for values in grants.values() if values["member"] == member]
        secrets = {values["secret_id"] for values in own if "secret_id" in values}
        assert secrets == {f"{secret}-production" for secret in row["secrets"]}
        wide = {values["role"]: values["condition"] for values in own if "secret_id" not in values}
        for role in ("roles/cloudsql.client", *(["roles/cloudsql.instanceUser"] if family != "migrate" else [])):
            (condition,) = wide.pop(role)
            assert f"projects/{PROJECT}/instances/liftlog-user-data-production'" in condition["expression"]
        assert set(wide) == ({"roles/cloudscheduler.jobRunner"} if family == "cleanup" else set())


def test_who_builds_reads_packages_and_writes_images_and_logs_and_nothing_else(production):
    member = f"serviceAccount:liftlog-build-prod@{PROJECT}.iam.gserviceaccount.com"
    grants = {
        (kind.removeprefix("google_").removesuffix("_iam_member"), values["role"]): values
        for kind in KINDS_OF_GRANTS
        for values in production.all(kind).values()
        if values["member"] == member
    }
    assert set(grants) == {
        ("storage_bucket", "roles/storage.objectViewer"),
        ("project", "roles/storage.objectViewer"),
        ("artifact_registry_repository", "roles/artifactregistry.writer"),
        ("project", "roles/logging.logWriter"),
    }
    assert grants["storage_bucket", "roles/storage.objectViewer"]["bucket"] == f"{PROJECT}-liftlog-source-production"
    (condition,) = grants["project", "roles/storage.objectViewer"]["condition"]
    assert condition["expression"] == "resource.name.startsWith('projects/_/buckets/gcf-v2-sources-')"


def test_packages_and_records_are_private_and_kept(production):
    bucket = production.one("google_storage_bucket")
    assert bucket["public_access_prevention"] == "enforced"
    assert bucket["uniform_bucket_level_access"] is True
    assert bucket["versioning"] == [{"enabled": True}]
    assert bucket["force_destroy"] is False


@pytest.mark.parametrize("environment", ["staging", "production"])
def test_an_organisation_that_shares_with_nobody_outside_takes_it(terraform, monkeypatch, environment):
    """Domain-restricted sharing, the default of new organisations; the providers of these tests may play it."""
    monkeypatch.setenv("OFFLINE_ORG_POLICY", "restricted")
    plan = Plan(terraform.plan(environment, domain=DOMAIN))
    for _, kind, values in plan.resources:
        if "_iam_" in kind:
            assert not {"allUsers", "allAuthenticatedUsers"} & {values.get("member"), *values.get("members", ())}
    (service,) = plan.all("google_cloud_run_v2_service").values()
    assert service["invoker_iam_disabled"] is True
    for address, function in plan.all("google_cloudfunctions2_function").items():
        family = re.findall(r'\["(\w+)"\]', address)[0]
        private = family in PRIVATE | {"operator"}
        assert function["labels"]["access"] == ("private" if private else "public"), address


def test_nobody_gets_a_basic_role_and_nothing_is_granted_to_everybody(production):
    for kind in (
        "google_project_iam_member",
        "google_cloud_run_v2_service_iam_member",
        "google_storage_bucket_iam_member",
    ):
        for address, values in production.all(kind).items():
            assert values["role"] not in {"roles/owner", "roles/editor", "roles/viewer"}
            assert values["member"] not in {"allUsers", "allAuthenticatedUsers"}, address


def test_no_secret_is_in_the_plan(production):
    for values in production.all("google_secret_manager_secret_version").values():
        assert values.get("secret_data") is None
        assert values.get("secret_data_wo") is None
        assert values["secret_data_wo_version"] == "1"
    for user in production.all("google_sql_user").values():
        assert (user["password"], user.get("password_wo")) == (None, None)


def test_every_secret_has_its_container(production):
    wanted = {f"{secret}-production" for entry in manifest().values() for secret in entry["secrets"]}
    assert {values["secret_id"] for values in production.all("google_secret_manager_secret").values()} == wanted


def test_the_cleanup_is_called_hourly_with_an_identity(production):
    job = production.one("google_cloud_scheduler_job")
    assert (job["name"], job["schedule"]) == ("liftlog-cleanup-production", "0 * * * *")
    target = job["http_target"][0]
    assert (target["http_method"], target["body"]) == ("POST", "e30=")
    assert (
        target["oidc_token"][0]["service_account_email"] == f"liftlog-scheduler-prod@{PROJECT}.iam.gserviceaccount.com"
    )
    assert job["attempt_deadline"] == f"{manifest()['cleanup']['timeout_seconds']}s"


def test_the_database_logs_what_is_slow_and_what_waits(production):
    flags = {
        flag["name"]: flag["value"]
        for flag in production.one("google_sql_database_instance")["settings"][0]["database_flags"]
    }
    for name in ("log_checkpoints", "log_connections", "log_disconnections", "log_lock_waits"):
        assert flags[name] == "on"
    assert int(flags["max_connections"]) > LEVELS["database_connections"].alert


# The load balancer


def throttles(plan):
    return {
        rule["description"]: rule
        for rule in plan.one("google_compute_security_policy")["rule"]
        if rule["action"] == "throttle"
    }


def test_the_limits_per_address_are_those_of_the_manifest(production):
    limits = throttles(production)
    del limits["Everything else"]
    wanted = [limit for entry in manifest().values() for limit in entry.get("limits_per_minute", {}).items()]
    for route, count in wanted:
        assert limits[route]["rate_limit_options"][0]["rate_limit_threshold"][0]["count"] == count
    assert len(limits) == len(wanted) > 0
    for rule in throttles(production).values():
        assert rule["rate_limit_options"][0]["enforce_on_key"] == "IP"
        assert rule["rate_limit_options"][0]["exceed_action"] == "deny(429)"


def test_an_inbox_of_a_thousand_senders_passes(production):
    options = throttles(production)["GET /user/{id_or_lookup}"]["rate_limit_options"][0]
    assert options["rate_limit_threshold"][0]["count"] > 1000


@pytest.mark.parametrize(
    ("method", "path", "route"),
    [
        ("GET", "/user/abc", "GET /user/{id_or_lookup}"),
        ("HEAD", "/V2/User/abc", "GET /user/{id_or_lookup}"),
        ("POST", "/user/create", "POST /user/create"),
        ("POST", "/v2/users", "POST /users"),
        ("PUT", "/inbox", "PUT /inbox"),
        ("GET", "/SharedItem/x", "GET /shareditem/{item_id}"),
        ("POST", "/user/delete", None),
        ("POST", "/inbox", None),
    ],
)
def test_a_limit_is_that_of_its_route(production, method, path, route):
    found = []
    for description, rule in throttles(production).items():
        if description == "Everything else":
            continue
        expression = rule["match"][0]["expr"][0]["expression"]
        methods, paths = re.findall(r"matches\('(.*?)'\)", expression)
        if re.search(methods, method) and re.search(paths, path.lower()):
            found.append(description)
    assert found == ([route] if route else [])


def test_the_firewall_reads_no_body(production):
    rules = production.one("google_compute_security_policy")["rule"]
    rulesets = [rule for rule in rules if "OWASP" in rule["description"]]
    assert any("cve-canary" in rule["match"][0]["expr"][0]["expression"] for rule in rulesets)
    for rule in rulesets:
        expression = rule["match"][0]["expr"][0]["expression"]
        methods = re.match(r"request\.method\.matches\('\^\((.*)\)\$'\) && evaluatePreconfiguredWaf", expression)
        assert methods
        assert not set(methods[1].split("|")) & {"POST", "PUT", "PATCH"}
        excluded = rule["preconfigured_waf_config"][0]["exclusion"][0]["request_query_param"]
        assert {parameter["value"] for parameter in excluded} == {"access_token", "id"}


def test_bodies_that_functions_refuse_politely_pass_and_larger_ones_do_not(production):
    (rule,) = [rule for rule in production.one("google_compute_security_policy")["rule"] if rule["priority"] == 100]
    limit = re.search(
        r"> (\d+) && !request\.path\.lower\(\)\.matches\('(.*)'\)$", rule["match"][0]["expr"][0]["expression"]
    )
    assert limit
    assert MOST_BODY_BYTES < int(limit[1]) <= 32 * 1024 * 1024
    with_uploads = {route for route, registered in ROUTES.items() if registered.upload_bytes is not None}
    assert {route for route in ROUTES if re.fullmatch(limit[2], route.split(" ")[1])} == with_uploads | {"GET /backup"}


def test_refusals_are_never_404_or_401(production):
    for rule in production.one("google_compute_security_policy")["rule"]:
        actions = {rule["action"], *(options["exceed_action"] for options in rule["rate_limit_options"])}
        assert actions <= {"allow", "throttle", "deny(403)", "deny(429)"}


def test_revisions_without_traffic_are_reached_at_a_host_of_their_own(production):
    (url_map,) = production.all("google_compute_url_map").values()
    hosts = {rule["path_matcher"]: rule["hosts"] for rule in url_map["host_rule"]}
    assert hosts == {"live": [DOMAIN], "candidate": [f"candidate.{DOMAIN}"]}
    live, candidate = sorted(url_map["path_matcher"], key=lambda matcher: matcher["name"], reverse=True)
    assert [rule["match_rules"] for rule in live["route_rules"]] == [
        rule["match_rules"] for rule in candidate["route_rules"]
    ]
    groups = production.all("google_compute_region_network_endpoint_group")
    for address, group in groups.items():
        assert group["cloud_run"][0]["tag"] == ("candidate" if "candidate/" in address else None)
    assert len(groups) == 2 * len(set(manifest()) - PRIVATE)


# Watching


def test_the_table_of_service_levels_is_the_code_s():
    wanted = json.dumps([asdict(level) for level in SERVICE_LEVELS], indent=2) + "\n"
    path = ROOT / "terraform" / "service_levels.json"
    assert path.read_text() == wanted, f"{path} is stale; it must hold:\n{wanted}"


def test_latency_leaves_out_what_the_code_leaves_out(production):
    metric = next(v for v in production.all("google_logging_metric").values() if v["name"].endswith("/latency"))
    left_out = set(re.findall(r'NOT jsonPayload\.function="(\w+)"', metric["filter"]))
    assert left_out == NOT_IN_LATENCY | {"health"}


def test_each_row_of_the_table_is_an_alert(production):
    policies = production.all("google_monitoring_alert_policy")
    for level in SERVICE_LEVELS:
        policy = policies[f'google_monitoring_alert_policy.service_level["{level.metric}"]']
        threshold = policy["conditions"][0]["condition_threshold"][0]
        assert threshold["threshold_value"] == level.alert / (100 if level.unit == "%" else 1)
        assert threshold["duration"] == f"{level.alert_seconds}s"
        assert threshold["comparison"] == ("COMPARISON_LT" if level.higher_is_better else "COMPARISON_GT")
        (aggregation,) = threshold["aggregations"]
        assert aggregation["cross_series_reducer"] == REDUCERS.get(level.metric, aggregation["cross_series_reducer"])
    assert len([address for address in policies if ".service_level[" in address]) == len(SERVICE_LEVELS)


def test_a_missed_cleanup_is_two_missed_runs_of_its_schedule(production):
    minute, hours, *days = production.one("google_cloud_scheduler_job")["schedule"].split()
    assert minute.isdigit()
    assert days == ["*"] * 3
    period_seconds = 3600 * int(hours.removeprefix("*").removeprefix("/") or 1)
    policy = production.all("google_monitoring_alert_policy")["google_monitoring_alert_policy.cleanup_missed"]
    (absent,) = policy["conditions"][0]["condition_absent"]
    assert absent["duration"] == f"{2 * period_seconds + 600}s"
    assert policy["conditions"][0]["display_name"] == "No cleanup came to its end in two hours"


def test_only_what_everybody_notices_wakes_somebody_up(production):
    for address, policy in production.all("google_monitoring_alert_policy").items():
        addresses = [None]  # the channels of e-mail addresses get their names when they are made
        wakes = any(name in address for name in ("health_percent", "burn_requests_fast", "burn_health"))
        paged = [f"projects/{PROJECT}/notificationChannels/1"] if wakes else []
        assert policy["notification_channels"] == addresses + paged


def test_every_alert_has_a_playbook_and_every_playbook_an_alert(production):
    linked = set()
    for policy in production.all("google_monitoring_alert_policy").values():
        (documentation,) = policy["documentation"]
        name = documentation["links"][0]["url"].rpartition("/")[2]
        assert documentation["content"].endswith((PLAYBOOKS / name).read_text())
        linked.add(name)
    of_bootstrap = {"budget.md"}
    assert linked | of_bootstrap == {path.name for path in PLAYBOOKS.glob("*.md")}


@pytest.mark.parametrize("path", sorted(PLAYBOOKS.glob("*.md")), ids=lambda path: path.stem)
def test_a_playbook_is_one_page_and_says_what_to_do(path):
    text = path.read_text()
    for part in ("**What it means.**", "**What users notice.**", "## First three commands", "## How to end it"):
        assert part in text
    assert len(text) < 8192  # of an alert's documentation (Cloud Monitoring: limits)


def test_the_dashboard_has_seven_panels_with_their_limits(production):
    dashboard = json.loads(production.one("google_monitoring_dashboard")["dashboard_json"])
    tiles = dashboard["mosaicLayout"]["tiles"]
    assert len(tiles) == 7
    assert all(tile["widget"]["xyChart"]["dataSets"] for tile in tiles)
    drawn = {tile["widget"]["title"]: [t["value"] for t in tile["widget"]["xyChart"]["thresholds"]] for tile in tiles}
    assert drawn["Error rate"] == pytest.approx([0.001, 0.01])
    assert drawn["Latency, without the planner"] == [200, 500]
    assert drawn["Memory, of its limit"] == pytest.approx([0.7, 0.85])
    assert drawn["CPU, of its limit"] == pytest.approx([0.6, 0.8])
    assert drawn["Database connections"] == [50, 80]


def test_a_threshold_of_a_chart_has_neither_colour_nor_direction(production):
    """Monitoring API v1, Threshold: "not allowed in a XyChart"; the whole dashboard is refused."""
    dashboard = json.loads(production.one("google_monitoring_dashboard")["dashboard_json"])
    tiles = dashboard["mosaicLayout"]["tiles"]
    thresholds = [t for tile in tiles for t in tile["widget"]["xyChart"]["thresholds"]]
    assert len(thresholds) == 10
    for threshold in thresholds:
        assert set(threshold) == {"value", "label"}


def test_the_objectives_are_what_normal_means(production):
    goals = {slo["slo_id"]: slo["goal"] for slo in production.all("google_monitoring_slo").values()}
    assert goals == pytest.approx({"requests": 0.999, "p95": 0.95, "p99": 0.99, "health": 0.999})


def test_logs_keep_no_path_and_no_token(production):
    filters = {
        values["name"]: values["filter"] for values in production.all("google_logging_project_exclusion").values()
    }
    assert "run.googleapis.com/requests" in filters["liftlog-requests-production"]
    assert "access_token=" in filters["liftlog-balancer-production"]


def test_the_uptime_check_asks_the_database_too(production, staging):
    assert production.one("google_monitoring_uptime_check_config")["http_check"][0]["path"] == "/health/ready"
    assert production.one("google_monitoring_uptime_check_config")["monitored_resource"][0]["labels"]["host"] == DOMAIN
    assert len(staging.all("google_monitoring_uptime_check_config")) == 1


def test_outputs_have_the_names_that_scripts_read(production, staging):
    for plan in (production, staging):
        names = set(plan.document["planned_values"]["outputs"]) | set(plan.document["output_changes"])
        assert {"service_url", "database_connection_name", "function_urls", "candidate_url", "source_bucket"} <= names
    assert production.document["planned_values"]["outputs"]["service_url"]["value"] == f"https://{DOMAIN}"
