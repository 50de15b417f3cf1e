# One family: its identity, what that identity may do, the function, and who may call it.
terraform {
  required_providers {
    google = { source = "hashicorp/google" }
  }
}

locals {
  # What the grants of the database are for: this instance, and no other.
  in_database_instance = "resource.name == 'projects/${var.project}/instances/${var.database_instance}' && resource.service == 'sqladmin.googleapis.com'"

  # Until scripts/deploy.sh has built the first release's: a service cannot be made without an image that exists.
  first_image   = "us-docker.pkg.dev/cloudrun/container/hello"
  only_balanced = var.access == "public" && var.balanced
  uri           = var.cpu_always ? one(google_cloud_run_v2_service.this[*].uri) : one(google_cloudfunctions2_function.this[*].service_config[0].uri)
}

resource "google_service_account" "family" {
  account_id   = var.account_id
  display_name = var.name
}

resource "google_secret_manager_secret_iam_member" "reads" {
  for_each = var.secrets

  secret_id = each.value
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.family.member
}

resource "google_project_iam_member" "connects" {
  project = var.project
  role    = "roles/cloudsql.client"
  member  = google_service_account.family.member

  condition {
    title      = "only ${var.database_instance}"
    expression = local.in_database_instance
  }
}

resource "google_project_iam_member" "logs_in" {
  count = var.logs_in_by_iam ? 1 : 0

  project = var.project
  role    = "roles/cloudsql.instanceUser"
  member  = google_service_account.family.member

  condition {
    title      = "only ${var.database_instance}"
    expression = local.in_database_instance
  }
}

resource "google_cloudfunctions2_function" "this" {
  count = var.cpu_always ? 0 : 1

  name        = var.name
  location    = var.region
  description = var.description
  labels      = { access = var.access } # what scripts/deploy.sh opens, and scripts/doctor.sh looks at

  build_config {
    runtime           = "python311"
    entry_point       = var.source_package
    docker_repository = var.repository
    service_account   = var.build_account

    source {
      storage_source {
        bucket = var.source_bucket
        object = var.source_object
      }
    }
  }

  service_config {
    available_memory                 = "${var.memory}Mi"
    available_cpu                    = tostring(var.cpu)
    max_instance_request_concurrency = var.concurrency
    timeout_seconds                  = var.timeout_seconds
    min_instance_count               = var.instances.least
    max_instance_count               = var.instances.most
    service_account_email            = google_service_account.family.email
    direct_vpc_egress                = "VPC_EGRESS_PRIVATE_RANGES_ONLY"
    ingress_settings                 = local.only_balanced ? "ALLOW_INTERNAL_AND_GCLB" : "ALLOW_ALL"
    environment_variables            = var.environment
    binary_authorization_policy      = "default" # of the project: terraform/bootstrap

    direct_vpc_network_interface {
      network    = var.network
      subnetwork = var.subnetwork
    }

    # A new revision gets what the traffic's configuration says, and no more: false leaves that as it is. Pinned to
    # revisions (`scripts.release pin`, and every release) it is nothing. The API answers true while the newest revision
    # has it all, so until then a plan wants to send false again; were it ignored, an update would send that true, and
    # all traffic would go to a revision that nobody has tried (magic-modules #16981).
    all_traffic_on_latest_revision = false
  }

  lifecycle {
    ignore_changes = [build_config[0].source] # code belongs to the scripts
  }

  depends_on = [google_secret_manager_secret_iam_member.reads, google_project_iam_member.connects, google_project_iam_member.logs_in]
}

resource "google_cloud_run_v2_service" "this" {
  count = var.cpu_always ? 1 : 0

  name                = var.name
  location            = var.region
  description         = var.description
  labels              = { access = var.access }
  deletion_protection = var.deletion_protection
  ingress             = local.only_balanced ? "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER" : "INGRESS_TRAFFIC_ALL"

  # Everybody may call what is public, without a grant to allUsers, which organisations with domain-restricted sharing
  # refuse (https://cloud.google.com/run/docs/authenticating/public). A function has no such argument, since its API has
  # none (terraform-provider-google #23360): there scripts/deploy.sh says it to the function's service.
  invoker_iam_disabled = var.access == "public"

  binary_authorization {
    use_default = true # the project's policy: terraform/bootstrap
  }

  build_config {
    source_location          = "gs://${var.source_bucket}/${var.source_object}"
    function_target          = var.source_package
    image_uri                = var.image
    base_image               = "python311"
    enable_automatic_updates = false # what was tested is what runs
    service_account          = var.build_account
  }

  template {
    service_account                  = google_service_account.family.email
    timeout                          = "${var.timeout_seconds}s"
    max_instance_request_concurrency = var.concurrency
    session_affinity                 = false # any instance serves any poll of a chat

    scaling {
      min_instance_count = var.instances.least
      max_instance_count = var.instances.most
    }

    vpc_access {
      egress = "PRIVATE_RANGES_ONLY"

      network_interfaces {
        network    = var.network
        subnetwork = var.subnetwork
      }
    }

    containers {
      image = local.first_image

      resources {
        cpu_idle          = false
        startup_cpu_boost = true
        limits            = { cpu = tostring(var.cpu), memory = "${var.memory}Mi" }
      }

      dynamic "env" {
        for_each = var.environment

        content {
          name  = env.key
          value = env.value
        }
      }
    }
  }

  lifecycle {
    # Code and traffic belong to the scripts; gcloud leaves its name and a revision's.
    ignore_changes = [
      build_config,
      client,
      client_version,
      template[0].containers[0].image,
      template[0].revision,
      traffic,
    ]
  }

  depends_on = [google_secret_manager_secret_iam_member.reads, google_project_iam_member.connects, google_project_iam_member.logs_in]
}

# A function of the 2nd generation is a Cloud Run service, and its callers are those of the service.
resource "google_cloud_run_v2_service_iam_member" "invokes" {
  for_each = merge({ for member in var.operators : member => member }, var.callers)

  name     = var.name
  location = var.region
  role     = "roles/run.invoker"
  member   = each.value

  depends_on = [google_cloudfunctions2_function.this, google_cloud_run_v2_service.this]
}

# `gcloud functions call` looks the function's URL up first.
resource "google_cloudfunctions2_function_iam_member" "looks_up" {
  for_each = var.cpu_always ? [] : var.operators

  cloud_function = var.name
  location       = var.region
  role           = "roles/cloudfunctions.viewer"
  member         = each.value

  depends_on = [google_cloudfunctions2_function.this]
}
