"""Who may do what in a project, from the bindings that Terraform plans: a small IAM for the fake cloud.

Roles have those of their permissions that are asked for here, as Google's reference lists them
(https://cloud.google.com/iam/docs/roles-permissions); `*` stands for the rest of a name.
"""

import re
from collections.abc import Iterator
from fnmatch import fnmatch
from typing import Any

from rehearsal.terraform import Plan

ROLES = {
    "roles/artifactregistry.admin": ("artifactregistry.*",),
    "roles/artifactregistry.writer": ("artifactregistry.repositories.uploadArtifacts",),
    "roles/certificatemanager.owner": ("certificatemanager.*",),
    "roles/cloudbuild.builds.editor": ("cloudbuild.builds.*",),
    "roles/cloudfunctions.admin": ("cloudfunctions.*",),
    "roles/cloudfunctions.viewer": ("cloudfunctions.functions.get", "cloudfunctions.functions.list"),
    "roles/cloudscheduler.admin": ("cloudscheduler.*",),
    "roles/cloudscheduler.jobRunner": ("cloudscheduler.jobs.run", "cloudscheduler.jobs.get"),
    "roles/cloudsql.admin": ("cloudsql.*",),
    "roles/cloudsql.client": ("cloudsql.instances.connect", "cloudsql.instances.get"),
    "roles/cloudsql.instanceUser": ("cloudsql.instances.login", "cloudsql.instances.get"),
    "roles/compute.loadBalancerAdmin": (
        "compute.backendServices.*", "compute.networkEndpointGroups.*", "compute.urlMaps.*",
        "compute.sslCertificates.*", "compute.sslPolicies.*", "compute.targetHttpsProxies.*",
        "compute.globalForwardingRules.*",
        "compute.globalAddresses.*", "certificatemanager.certmaps.*",
    ),
    "roles/compute.networkAdmin": ("compute.networks.*", "compute.subnetworks.*", "compute.globalAddresses.*"),
    "roles/compute.securityAdmin": ("compute.securityPolicies.*", "compute.firewalls.*", "compute.sslPolicies.*"),
    "roles/iam.serviceAccountAdmin": (
        "iam.serviceAccounts.create", "iam.serviceAccounts.get", "iam.serviceAccounts.setIamPolicy",
    ),
    "roles/iam.serviceAccountOpenIdTokenCreator": ("iam.serviceAccounts.getOpenIdToken",),
    "roles/iam.serviceAccountUser": ("iam.serviceAccounts.actAs", "iam.serviceAccounts.get"),
    "roles/logging.admin": ("logging.*",),
    "roles/logging.logWriter": ("logging.logEntries.create",),
    "roles/logging.viewer": ("logging.logEntries.list",),
    "roles/monitoring.editor": ("monitoring.*",),
    "roles/monitoring.viewer": ("monitoring.timeSeries.list",),
    "roles/resourcemanager.projectIamAdmin": (
        "resourcemanager.projects.get", "resourcemanager.projects.getIamPolicy",
        "resourcemanager.projects.setIamPolicy",
    ),
    "roles/run.admin": ("run.services.*", "run.revisions.*", "run.operations.*"),
    "roles/run.invoker": ("run.routes.invoke",),
    "roles/secretmanager.admin": ("secretmanager.*",),
    "roles/secretmanager.secretAccessor": ("secretmanager.versions.access",),
    "roles/servicenetworking.networksAdmin": ("servicenetworking.services.*",),
    "roles/serviceusage.serviceUsageAdmin": ("serviceusage.services.*",),
    "roles/storage.admin": ("storage.*",),
    "roles/storage.objectUser": ("storage.objects.*",),
    "roles/storage.objectViewer": ("storage.objects.get", "storage.objects.list"),
}  # fmt: skip

# What a request needs, by "METHOD api/path"; the first that fits counts.
REQUESTS = (
    (r"GET cloudfunctions/\S+/functions(/[\w-]+)?", "cloudfunctions.functions.get"),
    (r"PATCH cloudfunctions/\S+", "cloudfunctions.functions.update"),
    (r"GET cloudfunctions/\S+/operations/\w+", "cloudfunctions.operations.get"),
    (r"GET cloudfunctions/\S+/runtimes", "cloudfunctions.runtimes.list"),
    (r"(GET|POST) cloudbuild/\S+/builds\S*", "cloudbuild.builds.create"),
    (r"GET cloudbuild/\S+/defaultServiceAccount", "cloudbuild.builds.get"),
    (r"GET serviceusage/\S+", "serviceusage.services.get"),
    (r"GET cloudresourcemanager/\S+", "resourcemanager.projects.get"),
    (r"GET run/\S+:getIamPolicy", "run.services.getIamPolicy"),
    (r"GET run/\S+/revisions\S*", "run.revisions.list"),
    (r"GET run/\S+", "run.services.get"),
    (r"PUT run/\S+", "run.services.update"),
    (r"POST secretmanager/\S+:addVersion", "secretmanager.versions.add"),
    (r"GET secretmanager/\S+:access", "secretmanager.versions.access"),
    (r"GET secretmanager/\S+:getIamPolicy", "secretmanager.secrets.getIamPolicy"),
    (r"GET secretmanager/\S+", "secretmanager.secrets.get"),
    (r"POST secretmanager/\S+:(disable|enable)", "secretmanager.versions.update"),
    (r"POST sql/\S+/restoreBackup", "cloudsql.instances.restoreBackup"),
    (r"POST sql/\S+/backupRuns", "cloudsql.backupRuns.create"),
    (r"GET sql/\S+/backupRuns/\d+", "cloudsql.backupRuns.get"),
    (r"GET sql/\S+/backupRuns", "cloudsql.backupRuns.list"),
    (r"PUT sql/\S+/users", "cloudsql.users.update"),
    (r"GET sql/\S+/users/\S+", "cloudsql.users.get"),
    (r"GET sql/\S+", "cloudsql.instances.get"),
    (r"POST cloudscheduler/\S+:pause", "cloudscheduler.jobs.pause"),
    (r"POST cloudscheduler/\S+:resume", "cloudscheduler.jobs.enable"),
    (r"POST cloudscheduler/\S+:run", "cloudscheduler.jobs.run"),
    (r"GET cloudscheduler/\S+", "cloudscheduler.jobs.get"),
    (r"\w+ storage/storage/v1/b/[\w-]+", "storage.buckets.get"),
    (r"(POST|PUT) storage/\S+", "storage.objects.create"),
    (r"DELETE storage/\S+", "storage.objects.delete"),
    (r"GET storage/\S+", "storage.objects.get"),
)

# What making a resource needs, beside `actAs` where it runs as somebody.
RESOURCES = {
    "google_artifact_registry_repository": "artifactregistry.repositories.create",
    "google_artifact_registry_repository_iam_member": "artifactregistry.repositories.setIamPolicy",
    "google_cloud_run_v2_service": "run.services.create",
    "google_cloud_run_v2_service_iam_member": "run.services.setIamPolicy",
    "google_cloud_scheduler_job": "cloudscheduler.jobs.create",
    "google_cloudfunctions2_function": "cloudfunctions.functions.create",
    "google_cloudfunctions2_function_iam_member": "cloudfunctions.functions.setIamPolicy",
    "google_compute_backend_service": "compute.backendServices.create",
    "google_compute_global_address": "compute.globalAddresses.create",
    "google_compute_global_forwarding_rule": "compute.globalForwardingRules.create",
    "google_compute_managed_ssl_certificate": "compute.sslCertificates.create",
    "google_compute_network": "compute.networks.create",
    "google_compute_network_peering_routes_config": "compute.networks.updatePeering",
    "google_compute_region_network_endpoint_group": "compute.networkEndpointGroups.create",
    "google_compute_security_policy": "compute.securityPolicies.create",
    "google_compute_ssl_policy": "compute.sslPolicies.create",
    "google_compute_subnetwork": "compute.subnetworks.create",
    "google_compute_target_https_proxy": "compute.targetHttpsProxies.create",
    "google_compute_url_map": "compute.urlMaps.create",
    "google_certificate_manager_certificate": "certificatemanager.certs.create",
    "google_certificate_manager_certificate_map": "certificatemanager.certmaps.create",
    "google_certificate_manager_certificate_map_entry": "certificatemanager.certmapentries.create",
    "google_certificate_manager_dns_authorization": "certificatemanager.dnsauthorizations.create",
    "google_logging_metric": "logging.logMetrics.create",
    "google_logging_project_exclusion": "logging.exclusions.create",
    "google_monitoring_alert_policy": "monitoring.alertPolicies.create",
    "google_monitoring_dashboard": "monitoring.dashboards.create",
    "google_monitoring_custom_service": "monitoring.services.create",
    "google_monitoring_notification_channel": "monitoring.notificationChannels.create",
    "google_monitoring_slo": "monitoring.slos.create",
    "google_monitoring_uptime_check_config": "monitoring.uptimeCheckConfigs.create",
    "google_project_iam_member": "resourcemanager.projects.setIamPolicy",
    "google_project_service": "serviceusage.services.enable",
    "google_secret_manager_secret": "secretmanager.secrets.create",
    "google_secret_manager_secret_iam_member": "secretmanager.secrets.setIamPolicy",
    "google_secret_manager_secret_version": "secretmanager.versions.add",
    "google_service_account": "iam.serviceAccounts.create",
    "google_service_account_iam_member": "iam.serviceAccounts.setIamPolicy",
    "google_service_networking_connection": "servicenetworking.services.addPeering",
    "google_sql_database": "cloudsql.databases.create",
    "google_sql_database_instance": "cloudsql.instances.create",
    "google_sql_user": "cloudsql.users.create",
    "google_storage_bucket": "storage.buckets.create",
    "google_storage_bucket_iam_member": "storage.buckets.setIamPolicy",
    "google_storage_bucket_object": "storage.objects.create",
}


class Policy:
    """Bindings as they are planned: of a member, of the project ("") or one resource, a role."""

    def __init__(self, *plans: Plan) -> None:
        self._bindings: set[tuple[str, str, str]] = set()
        self._grantable: set[str] = set()
        for plan in plans:
            self.take(plan)

    def take(self, plan: Plan) -> None:
        """Add what a plan grants."""
        for kind, values in _grants(plan):
            if kind == "google_service_account_iam_member":  # ours: of an account on itself
                resource = values["member"].removeprefix("serviceAccount:")
            else:
                resource = next((str(values[key]) for key in _RESOURCE_KEYS if values.get(key)), "")
            self._bindings.add((values["member"], resource.rpartition("/")[2], values["role"]))
            if "modifiedGrantsByRole" in str(values.get("condition")):
                self._grantable |= set(re.findall(r"'(roles/[\w.]+)'", str(values["condition"])))

    def drop(self, role: str) -> None:
        """Take a role away from everybody."""
        self._bindings = {binding for binding in self._bindings if binding[2] != role}

    def may(self, member: str, permission: str, resource: str = "") -> bool:
        """Tell whether a member has a permission, of the project or of one resource."""
        roles = {role for who, what, role in self._bindings if who == member and what in {"", resource}}
        return any(fnmatch(permission, pattern) for role in roles for pattern in ROLES[role])

    def refused(self, member: str, plan: Plan) -> list[str]:
        """Return what a member may not make of a plan, each with what is missing."""
        found = []
        for address, kind, values in plan.resources:
            wanted = [RESOURCES[kind]] if kind.startswith("google_") else []
            if kind in _RUN_AS_SOMEBODY:
                wanted.append("iam.serviceAccounts.actAs")
            found += [f"{address}: {permission}" for permission in wanted if not self.may(member, permission)]
            if kind == "google_project_iam_member" and values["role"] not in self._grantable:
                found.append(f"{address}: may not grant {values['role']}")
        return found


_RESOURCE_KEYS = ("name", "cloud_function", "secret_id", "bucket", "repository")
_RUN_AS_SOMEBODY = frozenset(
    {"google_cloudfunctions2_function", "google_cloud_run_v2_service", "google_cloud_scheduler_job"}
)


def _grants(plan: Plan) -> Iterator[tuple[str, dict[str, Any]]]:
    for _, kind, values in plan.resources:
        if kind.endswith("_iam_member"):
            yield kind, values


def needed(where: str) -> str:
    """Return the permission that a request needs, by "METHOD api/path"; fails on one that is not known."""
    for pattern, permission in REQUESTS:
        if re.fullmatch(pattern, where):
            return permission
    raise AssertionError(f"no permission is known for {where}")
