# The hourly cleanup, called with an identity that may call nothing else.
resource "google_service_account" "scheduler" {
  account_id   = "liftlog-scheduler-${local.short_environment}"
  display_name = "LiftLog ${local.environment}: calls the cleanup"
}

resource "google_cloud_scheduler_job" "cleanup" {
  name             = local.cleanup_job_name
  description      = "Removes what has expired"
  region           = var.region
  schedule         = "0 * * * *" # hourly; the alert on missed runs counts hours
  time_zone        = "Etc/UTC"
  attempt_deadline = "${local.manifest.functions.cleanup.timeout_seconds}s"

  retry_config {
    retry_count          = 3
    min_backoff_duration = "30s"
    max_backoff_duration = "300s"
  }

  http_target {
    http_method = "POST"
    uri         = "${module.function["cleanup"].uri}/cleanup"
    headers     = { "Content-Type" = "application/json" }
    body        = base64encode("{}")

    oidc_token {
      service_account_email = google_service_account.scheduler.email
      audience              = module.function["cleanup"].uri
    }
  }
}

# A cleanup that leaves something asks for another run of the job.
resource "google_project_iam_member" "cleanup_runs_job" {
  for_each = { for family, row in local.functions : family => row if contains(local.serves_cleanup, row.source) }

  project = var.project
  role    = "roles/cloudscheduler.jobRunner"
  member  = module.function[each.key].member
}
