# One container for each secret that a function names in the manifest: `openai-api-key-staging` and the like. Who may read
# it is said by modules/function. What only people know is put in with scripts/secret.sh, from standard input.
resource "google_secret_manager_secret" "this" {
  for_each = local.secrets

  secret_id = "${each.value}-${local.environment}"

  replication {
    auto {}
  }

  depends_on = [google_project_service.this]
}

# The database's password: drawn once for each version, written here, and read back for Cloud SQL (database.tf). A run that
# ends in between has written it or not; the next one takes what is written. (An ephemeral value is new in each run, and
# Cloud SQL gets its part ten minutes after Secret Manager.)
ephemeral "random_password" "database" {
  length  = 48
  special = false
}

resource "google_secret_manager_secret_version" "database_password" {
  secret                 = google_secret_manager_secret.this["database-password"].id
  secret_data_wo         = ephemeral.random_password.database.result
  secret_data_wo_version = var.database_password_version
  deletion_policy        = "DISABLE" # functions that have read it use it for minutes; and a mistake can be taken back

  lifecycle {
    create_before_destroy = true      # there is always one to read
    ignore_changes        = [enabled] # what a person disabled stays so
  }
}

ephemeral "google_secret_manager_secret_version" "database_password" {
  secret  = google_secret_manager_secret_version.database_password.secret
  version = google_secret_manager_secret_version.database_password.version
}

# Secrets that nobody needs to know are made here once. Later versions come from scripts/rotate-secret.sh.
locals {
  made_secrets = toset(["chat-token-key", "operator-token"])
}

ephemeral "random_password" "made" {
  for_each = local.made_secrets

  length  = 48
  special = false
}

resource "google_secret_manager_secret_version" "made" {
  for_each = local.made_secrets

  secret                 = google_secret_manager_secret.this[each.value].id
  secret_data_wo         = ephemeral.random_password.made[each.value].result
  secret_data_wo_version = 1
  deletion_policy        = "DISABLE"

  lifecycle {
    create_before_destroy = true
    ignore_changes        = [enabled] # scripts/rotate-secret.sh disables it when there is a later one
  }
}
