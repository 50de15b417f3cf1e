# Backups of phones (docs/backups.md): a bucket, and who may use it. Nobody else is let in, and none of it is public.
variable "keep_phone_backups" {
  description = "Whether the app's automatic remote backups are taken, for whom operators have made a key (docs/backups.md)."
  type        = bool
  default     = false
}

locals {
  serves_backups = ["backup", "cleanup", "gateway"]

  # No request is larger behind Cloud Functions (Cloud Run, "Quotas and limits": HTTP/1 requests).
  largest_backup_bytes = 32 * 1024 * 1024

  backup_settings = var.keep_phone_backups ? {
    BACKUP_STORE     = "gs://${google_storage_bucket.backups[0].name}"
    BACKUP_MAX_BYTES = tostring(local.largest_backup_bytes)
  } : {}
}

resource "google_storage_bucket" "backups" {
  count = var.keep_phone_backups ? 1 : 0

  name                        = "${var.project}-liftlog-backups-${local.environment}"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = !local.deletion_protection

  # What was deleted or replaced, by a mistake as well, can be brought back for a month.
  versioning {
    enabled = true
  }

  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      days_since_noncurrent_time = 30
    }
  }

  # The cleanup deletes what is no longer kept; versioning is what soft deletion would cost a second time for.
  soft_delete_policy {
    retention_duration_seconds = 0
  }

  depends_on = [google_project_service.this]
}

# Each of these functions has an identity of its own (functions.tf). It reads, writes, lists and deletes objects here.
resource "google_storage_bucket_iam_member" "keeps_backups" {
  for_each = { for family, row in local.functions : family => row if var.keep_phone_backups && contains(local.serves_backups, row.source) }

  bucket = google_storage_bucket.backups[0].name
  role   = "roles/storage.objectUser"
  member = module.function[each.key].member
}
