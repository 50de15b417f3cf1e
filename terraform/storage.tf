# The functions' packages and the releases' records, which scripts/deploy.sh puts here.
resource "google_storage_bucket" "source" {
  name                        = "${var.project}-liftlog-source-${local.environment}"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = !local.deletion_protection

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

  depends_on = [google_project_service.this]
}

locals {
  packages = { for name in toset([for row in local.functions : row.source]) : name => "${path.module}/${var.dist}/${name}.zip" }
}

# What a function is made of when it is made. From then on its code is deployed by scripts/deploy.sh.
resource "google_storage_bucket_object" "source" {
  for_each = local.packages

  name   = "first/${each.key}.zip"
  bucket = google_storage_bucket.source.name
  source = each.value

  lifecycle {
    ignore_changes = [source, detect_md5hash]

    precondition {
      condition     = fileexists(each.value)
      error_message = "There is no package ${each.value}. Run: make package"
    }
  }
}

# Images that Cloud Build makes of the packages.
resource "google_artifact_registry_repository" "images" {
  repository_id = "liftlog-${local.environment}"
  location      = var.region
  format        = "DOCKER"

  cleanup_policies {
    id     = "keep-ten"
    action = "KEEP"

    most_recent_versions {
      keep_count = 10 # releases that a rollback reaches
    }
  }

  cleanup_policies {
    id     = "delete-old"
    action = "DELETE"

    condition {
      older_than = "${30 * local.day}s"
    }
  }

  depends_on = [google_project_service.this]
}

# Who builds: may read packages, write images and logs, and nothing of the service.
resource "google_service_account" "build" {
  account_id   = "liftlog-build-${local.short_environment}"
  display_name = "LiftLog ${local.environment}: builds the functions"
}

resource "google_storage_bucket_iam_member" "build_reads_source" {
  bucket = google_storage_bucket.source.name
  role   = "roles/storage.objectViewer"
  member = google_service_account.build.member
}

# Cloud Functions copies a package into a bucket of its own before it builds.
resource "google_project_iam_member" "build_reads_copies" {
  project = var.project
  role    = "roles/storage.objectViewer"
  member  = google_service_account.build.member

  condition {
    title      = "copies of packages"
    expression = "resource.name.startsWith('projects/_/buckets/gcf-v2-sources-')"
  }
}

resource "google_artifact_registry_repository_iam_member" "build_writes_images" {
  repository = google_artifact_registry_repository.images.name
  location   = var.region
  role       = "roles/artifactregistry.writer"
  member     = google_service_account.build.member
}

resource "google_project_iam_member" "build_writes_logs" {
  project = var.project
  role    = "roles/logging.logWriter"
  member  = google_service_account.build.member
}
