# Every function there is (locals.tf), with an identity of its own.
module "function" {
  source   = "./modules/function"
  for_each = local.functions

  name        = local.function_names[each.key]
  account_id  = local.account_ids[each.key]
  description = each.value.source == "gateway" ? "All families" : join(", ", each.value.routes)
  project     = var.project
  region      = var.region

  source_package      = each.value.source
  source_bucket       = google_storage_bucket.source.name
  source_object       = google_storage_bucket_object.first.name
  repository          = google_artifact_registry_repository.images.id
  image               = "${var.region}-docker.pkg.dev/${var.project}/${google_artifact_registry_repository.images.repository_id}/${local.function_names[each.key]}"
  build_account       = google_service_account.build.id
  cpu_always          = each.key == "ai_chat" # the instance that took a turn plays it, between requests as well
  deletion_protection = local.deletion_protection

  memory          = each.value.memory
  cpu             = each.value.cpu
  concurrency     = each.value.concurrency
  timeout_seconds = each.value.timeout_seconds
  instances       = local.instances[each.key]
  network         = google_compute_network.main.name
  subnetwork      = google_compute_subnetwork.functions.name
  environment     = merge(var.settings, local.environment_of_all, local.environment_of[each.key])

  secrets           = { for secret in each.value.secrets : secret => google_secret_manager_secret.this[secret].secret_id }
  database_instance = google_sql_database_instance.main.name
  logs_in_by_iam    = contains(keys(local.database_users), each.key)
  access            = each.value.access
  balanced          = local.is_balanced
  operators         = each.value.access == "private" ? var.operators : []
  callers           = { for name, member in { scheduler = google_service_account.scheduler.member } : name => member if each.key == "cleanup" }

  # The grants of the account that builds come first, and ten minutes early, since the database takes that long: IAM needs
  # two minutes, at times seven (https://cloud.google.com/iam/docs/access-change-propagation).
  depends_on = [
    google_artifact_registry_repository_iam_member.build_writes_images,
    google_project_iam_member.build_reads_copies,
    google_project_iam_member.build_writes_logs,
    google_project_service.this,
    google_sql_database.this,
    google_sql_user.backend,
    google_storage_bucket_iam_member.build_reads_source,
  ]
}

locals {
  connection_name  = "${var.project}:${var.region}:liftlog-user-data-${local.environment}"
  cleanup_job_name = "liftlog-cleanup-${local.environment}"
  threads_beside   = 16 # of a process with chats, for other requests: shared/settings/planner.py
  serves_cleanup   = ["cleanup", "gateway"]
  serves_chats     = ["ai_chat", "gateway"]

  environment_of_all = {
    ENVIRONMENT              = local.environment
    GCP_PROJECT_ID           = var.project
    INSTANCE_CONNECTION_NAME = local.connection_name
    DB_NAME                  = "liftlog_user_data"
    WORKERS                  = "1"
  }
  environment_of = {
    for family, row in local.functions : family => merge(
      { DB_POOL_SIZE = tostring(row.pool), THREADS = tostring(row.concurrency) },
      contains(keys(local.database_users), family) ? {
        DB_USER                 = local.database_users[family]
        DB_IAM_AUTH             = "true"
        RATE_LIMIT_DATABASE_URL = "cloudsql://${urlencode(local.database_users[family])}@/liftlog_rate_limit?iam=true&instance=${urlencode(local.connection_name)}"
        } : {
        DB_USER                 = google_sql_user.backend.name
        DB_FUNCTION_USERS       = join(",", [for user_of, user in local.database_users : "${user_of}=${user}"])
        RATE_LIMIT_DATABASE_URL = "cloudsql://${google_sql_user.backend.name}@/liftlog_rate_limit?instance=${urlencode(local.connection_name)}"
      },
      { for name, value in { OPERATOR_IAM = "true" } : name => value if row.access == "private" },
      { for name, value in { CLEANUP_JOB = "projects/${var.project}/locations/${var.region}/jobs/${local.cleanup_job_name}" } : name => value if contains(local.serves_cleanup, row.source) },
      { for name, value in { CHAT_LIMIT = tostring(row.concurrency - local.threads_beside) } : name => value if contains(local.serves_chats, row.source) },
      { for name, value in local.backup_settings : name => value if contains(local.serves_backups, row.source) },
    )
  }
}
