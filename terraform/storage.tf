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

# What every function is made of before its first release, which scripts/deploy.sh makes: it answers 503. A constant, since
# the provider compares an object with its file whatever is ignored: made of the packages, it would differ after each
# release, for ever.
data "archive_file" "first" {
  type        = "zip"
  output_path = "${path.module}/.terraform/first.zip"

  dynamic "source" {
    for_each = toset(["main.py", "requirements.txt"])

    content {
      filename = source.value
      content  = file("${path.module}/first/${source.value}")
    }
  }
}

resource "google_storage_bucket_object" "first" {
  name   = "first.zip"
  bucket = google_storage_bucket.source.name
  source = data.archive_file.first.output_path
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
