# A way in and a way back for the data, while it moves (MIGRATION_ROADMAP.md, step 1): dumps go through a bucket, by Cloud SQL's
# own import and export, which need no machine in the network and no address. What follows the database, or is followed by
# it, wants a connection: from a network that is connected with ours (a VPN), over routes that the peering exchanges.
variable "moving" {
  description = "Whether data is on its way in or out: a bucket for dumps that the database's instance reads and writes, and routes exchanged with its network."
  type        = bool
  default     = false
}

variable "logical_decoding" {
  description = "Whether the database can be followed by logical replication (cloudsql.logical_decoding), for the way back. Changing it restarts the database."
  type        = bool
  default     = false
}

# Emptied by itself: a dump is the data of everybody, and is needed for hours.
resource "google_storage_bucket" "dumps" {
  count = var.moving ? 1 : 0

  name                        = "${var.project}-liftlog-dumps-${local.environment}"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = true

  soft_delete_policy {
    retention_duration_seconds = 0 # deleted is gone
  }

  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      age = 7 # days
    }
  }

  depends_on = [google_project_service.this]
}

# https://cloud.google.com/sql/docs/postgres/import-export/import-export-sql: as the account of the instance.
resource "google_storage_bucket_iam_member" "instance_reads_and_writes_dumps" {
  count = var.moving ? 1 : 0

  bucket = google_storage_bucket.dumps[0].name
  role   = "roles/storage.objectUser"
  member = "serviceAccount:${google_sql_database_instance.main.service_account_email_address}"
}

resource "google_compute_network_peering_routes_config" "database" {
  count = var.moving ? 1 : 0

  peering              = google_service_networking_connection.database.peering
  network              = google_compute_network.main.name
  import_custom_routes = true
  export_custom_routes = true
}
