# Once per project, before anything else: the bucket for Terraform's state, and who deploys. Its own state is a file on the
# machine that runs it; lost, `terraform import` brings it back. A project of its own for each environment is meant.
#
#   terraform -chdir=terraform/bootstrap init
#   terraform -chdir=terraform/bootstrap apply -var project=$GCP_PROJECT_ID -var 'environments=["staging"]'
terraform {
  required_version = ">= 1.11"

  required_providers {
    google = { source = "hashicorp/google", version = "8.7.0" }
  }
}

provider "google" {
  project        = var.project
  region         = var.region
  default_labels = { app = "liftlog" }
}

# A billing account is no project's: its API wants to know in whose name it is asked.
provider "google" {
  alias                 = "billing"
  project               = var.project
  billing_project       = var.project
  user_project_override = true
}

variable "project" {
  description = "Id of the Google Cloud project."
  type        = string
}

variable "region" {
  description = "Where the state is kept."
  type        = string
  default     = "us-central1"
}

variable "environments" {
  description = "What this project holds: one environment, or both, where whoever deploys one can reach the other."
  type        = set(string)

  validation {
    condition     = length(var.environments) > 0 && length(setsubtract(var.environments, ["staging", "production"])) == 0
    error_message = "staging, production, or both."
  }
}

variable "log_retention_days" {
  description = "How long log lines are kept, in days. They hold no path, token or id; audit logs of who changed what are kept 400 days in any case."
  type        = number
  default     = 90

  validation {
    condition     = var.log_retention_days >= 30 && var.log_retention_days <= 3650
    error_message = "30 days, which are free, to ten years."
  }
}

variable "billing_account" {
  description = "Id of the billing account, like 012345-ABCDEF-678901, for a budget of this project; whoever applies this must be its Billing Account Costs Manager. Left out there is no budget."
  type        = string
  default     = null

  validation {
    condition     = var.billing_account == null || can(regex("^[0-9A-F]{6}(-[0-9A-F]{6}){2}$", var.billing_account))
    error_message = "An id like 012345-ABCDEF-678901 (gcloud billing accounts list)."
  }
}

variable "budget_usd" {
  description = "What a month may cost, in whole US dollars (docs/costs.md). The billing account's users get a mail at 50, 90 and 100 %, and when it is foreseen."
  type        = number
  default     = 400
}

# What terraform/ and its first plan ask before they have enabled anything, and what this folder needs itself.
resource "google_project_service" "this" {
  for_each = toset(["billingbudgets.googleapis.com", "binaryauthorization.googleapis.com", "cloudbuild.googleapis.com", "cloudfunctions.googleapis.com", "cloudresourcemanager.googleapis.com", "iam.googleapis.com", "iamcredentials.googleapis.com", "logging.googleapis.com", "run.googleapis.com", "serviceusage.googleapis.com", "storage.googleapis.com", "sts.googleapis.com"])

  service            = each.value
  disable_on_destroy = false
}

# The state of both workspaces. Old versions stay for 90 days, so that a broken state can be taken back.
resource "google_storage_bucket" "state" {
  name                        = "${var.project}-liftlog-state"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"

  versioning {
    enabled = true
  }

  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      days_since_noncurrent_time = 90
    }
  }

  lifecycle {
    prevent_destroy = true
  }

  depends_on = [google_project_service.this]
}

# What may run as a service of this project: images of our two repositories, which nobody but the build accounts can write into,
# and the one that a service begins with. (Functions' images must be allowed by their repository:
# https://cloud.google.com/run/docs/securing/binary-authorization.)
resource "google_binary_authorization_policy" "ours" {
  description = "Only what LiftLog's build accounts have built"

  dynamic "admission_whitelist_patterns" {
    for_each = concat(
      [for environment in sort(var.environments) : "${var.region}-docker.pkg.dev/${var.project}/liftlog-${environment}/**"],
      ["us-docker.pkg.dev/cloudrun/container/hello"],
    )

    content {
      name_pattern = admission_whitelist_patterns.value
    }
  }

  default_admission_rule {
    evaluation_mode  = "ALWAYS_DENY"
    enforcement_mode = "ENFORCED_BLOCK_AND_AUDIT_LOG"
  }

  depends_on = [google_project_service.this]
}

# Who read what: secrets, the state, the database's instance, and tokens that were made for somebody else's account. (Who
# changed what is always logged.) Once per project, since a service has one such setting.
resource "google_project_iam_audit_config" "reads" {
  for_each = toset(["secretmanager.googleapis.com", "cloudsql.googleapis.com", "iam.googleapis.com", "storage.googleapis.com"])

  project = var.project
  service = each.value

  dynamic "audit_log_config" {
    for_each = toset(["ADMIN_READ", "DATA_READ", "DATA_WRITE"])

    content {
      log_type = audit_log_config.value
    }
  }
}

resource "google_logging_project_bucket_config" "default" {
  project        = var.project
  location       = "global"
  bucket_id      = "_Default"
  retention_days = var.log_retention_days

  depends_on = [google_project_service.this]
}

data "google_project" "this" {
  count = var.billing_account == null ? 0 : 1

  depends_on = [google_project_service.this]
}

# Playbook: docs/playbooks/budget.md
resource "google_billing_budget" "month" {
  count    = var.billing_account == null ? 0 : 1
  provider = google.billing

  billing_account = var.billing_account
  display_name    = "LiftLog ${var.project}"

  budget_filter {
    projects        = ["projects/${data.google_project.this[0].number}"]
    calendar_period = "MONTH"
  }

  amount {
    specified_amount {
      currency_code = "USD"
      units         = tostring(var.budget_usd)
    }
  }

  dynamic "threshold_rules" {
    for_each = { half = [0.5, "CURRENT_SPEND"], most = [0.9, "CURRENT_SPEND"], all = [1, "CURRENT_SPEND"], foreseen = [1, "FORECASTED_SPEND"] }

    content {
      threshold_percent = threshold_rules.value[0]
      spend_basis       = threshold_rules.value[1]
    }
  }
}

output "state_bucket" {
  description = "For terraform init: -backend-config=bucket=…"
  value       = google_storage_bucket.state.name
}
