# Providers are pinned exactly, since the lock file is not in the repository (docs/infrastructure.md, "Versions").
terraform {
  required_version = ">= 1.11" # write-only arguments

  required_providers {
    archive = { source = "hashicorp/archive", version = "2.8.1" }
    google  = { source = "hashicorp/google", version = "8.7.0" }
    random  = { source = "hashicorp/random", version = "3.9.1" }
    time    = { source = "hashicorp/time", version = "0.14.2" }
  }

  # The bucket is made by bootstrap/ and named at init: -backend-config="bucket=$GCP_PROJECT_ID-liftlog-state".
  # Each workspace (staging, production) has a state of its own in it.
  backend "gcs" {
    prefix = "liftlog"
  }
}

provider "google" {
  project = var.project
  region  = var.region

  default_labels = {
    app         = "liftlog"
    environment = local.environment
  }
}
