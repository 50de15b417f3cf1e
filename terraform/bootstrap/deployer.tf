# Who applies the configuration and deploys: Cloud Build's steps run as this account.
locals {
  # What terraform/ grants to the accounts that it makes. Whoever may write a project's policy may else make himself its owner
  # (https://cloud.google.com/iam/docs/setting-limits-on-granting-roles).
  granted_roles = [
    "roles/cloudscheduler.jobRunner",
    "roles/cloudsql.client",
    "roles/cloudsql.instanceUser",
    "roles/logging.logWriter",
    "roles/logging.viewer",
    "roles/monitoring.viewer",
    "roles/storage.objectViewer",
  ]
}

resource "google_service_account" "deployer" {
  account_id   = "liftlog-deployer"
  display_name = "LiftLog: applies Terraform and deploys"

  depends_on = [google_project_service.this]
}

resource "google_project_iam_member" "deployer" {
  for_each = toset([
    "roles/artifactregistry.admin",
    "roles/certificatemanager.owner",
    "roles/cloudbuild.builds.editor",
    "roles/cloudfunctions.admin",
    "roles/cloudscheduler.admin",
    "roles/cloudsql.admin",
    "roles/compute.loadBalancerAdmin",
    "roles/compute.networkAdmin",
    "roles/compute.securityAdmin",
    "roles/iam.serviceAccountAdmin",
    "roles/iam.serviceAccountUser",
    "roles/logging.admin",
    "roles/monitoring.editor",
    "roles/run.admin",
    "roles/secretmanager.admin",
    "roles/servicenetworking.networksAdmin",
    "roles/serviceusage.serviceUsageAdmin",
    "roles/storage.admin",
  ])

  project = var.project
  role    = each.value
  member  = google_service_account.deployer.member
}

resource "google_project_iam_member" "deployer_grants" {
  project = var.project
  role    = "roles/resourcemanager.projectIamAdmin"
  member  = google_service_account.deployer.member

  condition {
    title       = "roles of functions and builds"
    description = "Grants and takes back these roles of the project and no others"
    expression  = "api.getAttribute('iam.googleapis.com/modifiedGrantsByRole', []).hasOnly([${join(", ", [for role in local.granted_roles : "'${role}'"])}])"
  }
}

# Private functions want an identity token, and in a build the metadata server makes one only for an account that may make
# its own (https://github.com/kubernetes/k8s.io/pull/9953): without it `migrate`, the metrics and smoke.sh are refused.
resource "google_service_account_iam_member" "deployer_identifies_itself" {
  service_account_id = google_service_account.deployer.name
  role               = "roles/iam.serviceAccountOpenIdTokenCreator"
  member             = google_service_account.deployer.member
}

# Where `gcloud builds submit` puts the source. What was built is in the release's packages; this goes after a month.
resource "google_storage_bucket" "submitted" {
  name                        = "${var.project}-liftlog-submitted"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"

  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      age = 30
    }
  }

  depends_on = [google_project_service.this]
}

output "deployer" {
  description = "The deployer's address: an operator of the environment's tfvars, and the build's account."
  value       = google_service_account.deployer.email
}
