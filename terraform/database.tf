# PostgreSQL 17, reachable over its private address and with Cloud SQL's connectors only: they bring a certificate that
# IAM made for them.
resource "google_sql_database_instance" "main" {
  name                = "liftlog-user-data-${local.environment}"
  database_version    = "POSTGRES_17"
  region              = var.region
  deletion_protection = local.deletion_protection

  settings {
    tier                        = coalesce(var.database_tier, local.size.database_tier)
    edition                     = "ENTERPRISE" # the default of 16 and newer is ENTERPRISE_PLUS, which has no such tiers
    availability_type           = local.size.database_availability
    disk_type                   = "PD_SSD"
    disk_size                   = 10 # GB, to begin with
    disk_autoresize             = true
    deletion_protection_enabled = local.deletion_protection
    retain_backups_on_delete    = local.is_production
    connector_enforcement       = "REQUIRED"

    ip_configuration {
      ipv4_enabled    = false
      private_network = google_compute_network.main.id
      ssl_mode        = "TRUSTED_CLIENT_CERTIFICATE_REQUIRED"
    }

    backup_configuration {
      enabled                        = true
      start_time                     = "03:00" # UTC
      location                       = local.backup_location
      point_in_time_recovery_enabled = true
      transaction_log_retention_days = local.size.log_days

      backup_retention_settings {
        retained_backups = local.size.backups
      }
    }

    # One more when the instance is deleted, by whatever way; staging's is left out, so that `destroy` leaves nothing behind.
    final_backup_config {
      enabled        = local.is_production
      retention_days = local.is_production ? 90 : null
    }

    maintenance_window {
      day          = 7 # Sunday
      hour         = 4 # UTC, after the backup
      update_track = local.is_production ? "stable" : "canary"
    }

    insights_config {
      query_insights_enabled  = true
      query_string_length     = 4096
      query_plans_per_minute  = 5
      record_application_tags = true
      record_client_address   = false
    }

    dynamic "database_flags" {
      for_each = merge(var.logical_decoding ? { "cloudsql.logical_decoding" = "on" } : {}, {
        max_connections                     = local.size.max_connections
        "cloudsql.iam_authentication"       = "on"  # functions log in as themselves
        idle_in_transaction_session_timeout = 60000 # ms; no statement of ours leaves a transaction open
        log_checkpoints                     = "on"
        log_connections                     = "on"
        log_disconnections                  = "on"
        log_lock_waits                      = "on"
        log_min_duration_statement          = 1000 # ms, as the runbook's slow requests
        log_temp_files                      = 0
      })

      content {
        name  = database_flags.key
        value = database_flags.value
      }
    }
  }

  lifecycle {
    precondition {
      condition     = local.connection_budget <= local.connection_limit
      error_message = "At worst the functions open ${local.connection_budget} connections, and ${local.connection_limit} are allowed. Lower instances or pools in functions/manifest.yaml, or max_instances."
    }
  }

  depends_on = [google_service_networking_connection.database]
}

resource "google_sql_database" "this" {
  for_each = toset(["liftlog_user_data", "liftlog_rate_limit"])

  name            = each.value
  instance        = google_sql_database_instance.main.name
  deletion_policy = "ABANDON" # it goes with the instance, and never alone while functions are connected
}

# The owner of all tables: migrate alone logs in as this one. Its password is what Secret Manager holds (secrets.tf), read back and never made twice: however often an apply is
# repeated, both sides have the same. It is not in the state.
resource "google_sql_user" "backend" {
  name                = "liftlog_backend"
  instance            = google_sql_database_instance.main.name
  password_wo         = ephemeral.google_secret_manager_secret_version.database_password.secret_data
  password_wo_version = var.database_password_version
  deletion_policy     = "ABANDON" # it owns tables, and PostgreSQL drops no such user; it goes with the instance
}

# Who each function is there. It may log in, and do nothing before migrate has given it rights.
resource "google_sql_user" "function" {
  for_each = local.database_users

  name            = each.value
  instance        = google_sql_database_instance.main.name
  type            = "CLOUD_IAM_SERVICE_ACCOUNT"
  deletion_policy = "ABANDON" # it has rights on tables, and PostgreSQL drops no such user; it goes with the instance

  depends_on = [module.function] # the account must exist
}
