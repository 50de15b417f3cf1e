# GitHub's way in: a workflow proves with a token of its own for which repository, branch and environment it runs, and may
# then start a build. No key leaves Google. Who may run it is GitHub's part: protect the branch, and let the environment
# `production` ask reviewers.
variable "github_repository" {
  description = "owner/name of the repository whose workflow may start builds; left out, none may."
  type        = string
  default     = null

  validation {
    condition     = var.github_repository == null || can(regex("^[\\w.-]+/[\\w.-]+$", var.github_repository))
    error_message = "A repository's name is like owner/name."
  }
}

variable "github_repository_id" {
  description = "Its number (gh api repos/owner/name --jq .id): a name can be given up and taken by somebody else, a number cannot."
  type        = number
  default     = null

  validation {
    condition     = (var.github_repository == null) == (var.github_repository_id == null)
    error_message = "Both github_repository and github_repository_id, or neither."
  }
}

variable "github_ref" {
  description = "The one branch whose workflow is trusted."
  type        = string
  default     = "refs/heads/main"
}

locals {
  github_environments = var.github_repository == null ? [] : var.environments
  short_environments  = { staging = "stg", production = "prod" }
}

resource "google_iam_workload_identity_pool" "github" {
  count = var.github_repository == null ? 0 : 1

  workload_identity_pool_id = "liftlog-github"
  display_name              = "GitHub workflows"

  depends_on = [google_project_service.this]
}

# A claim that is missing, like the environment of a job without one, makes the condition fail.
# https://docs.github.com/en/actions/reference/security/oidc
resource "google_iam_workload_identity_pool_provider" "github" {
  count = var.github_repository == null ? 0 : 1

  workload_identity_pool_id          = google_iam_workload_identity_pool.github[0].workload_identity_pool_id
  workload_identity_pool_provider_id = "github"
  display_name                       = "GitHub"

  attribute_condition = join(" && ", [
    "assertion.repository_id == '${var.github_repository_id}'",
    "assertion.ref == '${var.github_ref}'",
    "assertion.event_name == 'workflow_dispatch'",
    "assertion.workflow_ref == '${var.github_repository}/.github/workflows/deploy.yml@${var.github_ref}'",
    "assertion.environment in [${join(", ", [for environment in sort(var.environments) : "'${environment}'"])}]",
  ])

  attribute_mapping = {
    "google.subject"        = "assertion.sub"
    "attribute.environment" = "assertion.environment"
  }

  oidc {
    issuer_uri = "https://token.actions.githubusercontent.com"
  }
}

# One account for each environment.
resource "google_service_account" "github" {
  for_each = local.github_environments

  account_id   = "liftlog-github-${local.short_environments[each.value]}"
  display_name = "LiftLog ${each.value}: GitHub starts builds"

  depends_on = [google_project_service.this]
}

resource "google_service_account_iam_member" "github_is" {
  for_each = local.github_environments

  service_account_id = google_service_account.github[each.value].name
  role               = "roles/iam.workloadIdentityUser"
  member             = "principalSet://iam.googleapis.com/${google_iam_workload_identity_pool.github[0].name}/attribute.environment/${each.value}"
}

resource "google_project_iam_custom_role" "starts_builds" {
  count = var.github_repository == null ? 0 : 1

  role_id     = "liftlogStartsBuilds"
  title       = "LiftLog: starts builds"
  permissions = ["cloudbuild.builds.create", "cloudbuild.builds.get", "serviceusage.services.use"]

  depends_on = [google_project_service.this]
}

# Of the bucket for sources alone: `gcloud builds submit` asks whether it is there, and puts an object into it.
resource "google_project_iam_custom_role" "submits_source" {
  count = var.github_repository == null ? 0 : 1

  role_id     = "liftlogSubmitsSource"
  title       = "LiftLog: submits a source"
  permissions = ["storage.buckets.get", "storage.objects.create", "storage.objects.get"]

  depends_on = [google_project_service.this]
}

resource "google_project_iam_member" "github_starts_builds" {
  for_each = local.github_environments

  project = var.project
  role    = google_project_iam_custom_role.starts_builds[0].name
  member  = google_service_account.github[each.value].member
}

resource "google_storage_bucket_iam_member" "github_submits_source" {
  for_each = local.github_environments

  bucket = google_storage_bucket.submitted.name
  role   = google_project_iam_custom_role.submits_source[0].name
  member = google_service_account.github[each.value].member
}

# A build names the account that it runs as. So whoever may start one decides what that account does: hence the branch.
resource "google_service_account_iam_member" "github_builds_as_the_deployer" {
  for_each = local.github_environments

  service_account_id = google_service_account.deployer.name
  role               = "roles/iam.serviceAccountUser"
  member             = google_service_account.github[each.value].member
}

output "workload_identity_provider" {
  description = "For the workflow's google-github-actions/auth; null without a repository."
  value       = one(google_iam_workload_identity_pool_provider.github[*].name)
}

output "github_accounts" {
  description = "By environment: the variable DEPLOYER of GitHub's environment."
  value       = { for environment, account in google_service_account.github : environment => account.email }
}
