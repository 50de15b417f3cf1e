# What is kept of logs, and what is counted in them. Functions log a line of their own for each request, with the route's
# pattern; the platform's own lines hold whole paths and queries, with lookups and the chats' tokens, and are dropped.
locals {
  our_services = "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=~\"^${local.all_services}$\""
}

resource "google_logging_project_exclusion" "requests" {
  name        = "liftlog-requests-${local.environment}"
  description = "Paths and queries, with lookups and tokens"
  filter      = "${local.our_services} AND log_id(\"run.googleapis.com/requests\")"

  depends_on = [google_project_service.this]
}

# Of the load balancer only what Cloud Armor refused is kept, and no token either.
resource "google_logging_project_exclusion" "balancer" {
  count = local.is_balanced ? 1 : 0

  name        = "liftlog-balancer-${local.environment}"
  description = "Paths and queries, but those that were refused"
  filter = join(" AND ", [
    "resource.type=\"http_load_balancer\"",
    "resource.labels.url_map_name=\"${google_compute_url_map.balancer[0].name}\"",
    "(NOT jsonPayload.enforcedSecurityPolicy.outcome=\"DENY\" OR httpRequest.requestUrl:\"access_token=\")",
  ])
}

# Errors, of any kind.
resource "google_logging_metric" "error_rate" {
  name        = "liftlog-${local.environment}/error_rate"
  description = "Lines of severity ERROR and above"
  filter      = "${local.our_services} AND severity>=ERROR"

  label_extractors = {
    error_type = "EXTRACT(jsonPayload.error_type)"
    function   = "EXTRACT(jsonPayload.function)"
  }

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
    unit        = "1"

    labels {
      key         = "error_type"
      description = "Class of the error"
    }

    labels {
      key         = "function"
      description = "Family"
    }
  }

  depends_on = [google_project_service.this]
}

# Durations as the functions measure them: without families that wait for a language model or keep a chat open, which
# the gateway serves as well, and without probes.
resource "google_logging_metric" "latency" {
  name        = "liftlog-${local.environment}/latency"
  description = "Duration of requests, without the planner's, the files' and the probes'"
  filter = join(" AND ", concat(
    [local.our_services, "jsonPayload.duration_ms>=0"],
    [for family in local.not_in_latency : "NOT jsonPayload.function=\"${family}\""],
  ))
  value_extractor = "EXTRACT(jsonPayload.duration_ms)"

  label_extractors = {
    function = "EXTRACT(jsonPayload.function)"
    route    = "EXTRACT(jsonPayload.route)"
  }

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "DISTRIBUTION"
    unit        = "ms"

    labels {
      key         = "function"
      description = "Family"
    }

    labels {
      key         = "route"
      description = "Pattern of the path"
    }
  }

  bucket_options {
    explicit_buckets {
      bounds = [5, 10, 25, 50, 75, 100, 150, 200, 300, 400, 500, 750, 1000, 1500, 2500, 5000, 10000, 30000]
    }
  }

  depends_on = [google_project_service.this]
}

resource "google_logging_metric" "pool_exhausted" {
  name        = "liftlog-${local.environment}/pool_exhausted"
  description = "Requests that waited for a database connection in vain"
  filter      = "${local.our_services} AND jsonPayload.cause=\"connection pool exhausted\""

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
    unit        = "1"
  }

  depends_on = [google_project_service.this]
}

resource "google_logging_metric" "quota_refusals" {
  name        = "liftlog-${local.environment}/quota_refusals"
  description = "Requests that were refused since an account, an address or an inbox had no more room"
  filter      = "${local.our_services} AND jsonPayload.error_type=~\"^(QuotaExceeded|InboxFull)$\""

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
    unit        = "1"
  }

  depends_on = [google_project_service.this]
}

resource "google_logging_metric" "cleanups" {
  name        = "liftlog-${local.environment}/cleanups"
  description = "Cleanups that came to their end"
  filter      = "${local.our_services} AND jsonPayload.route=\"/cleanup\" AND jsonPayload.status=200"

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
    unit        = "1"
  }

  depends_on = [google_project_service.this]
}

# Cloud SQL says in an audit log how each nightly backup ended
# (https://cloud.google.com/sql/docs/postgres/backup-recovery/backing-up, "View audit logs").
resource "google_logging_metric" "backups_failed" {
  name        = "liftlog-${local.environment}/backups_failed"
  description = "Nightly backups that did not succeed"
  filter = join(" AND ", [
    "resource.type=\"cloudsql_database\"",
    "resource.labels.database_id=\"${var.project}:${google_sql_database_instance.main.name}\"",
    "log_id(\"cloudaudit.googleapis.com/system_event\")",
    "protoPayload.methodName=\"cloudsql.instances.automatedBackup\"",
    "protoPayload.metadata.windowStatus=~\"FAILED\"",
  ])

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
    unit        = "1"
  }
}

# A policy or an objective on a metric that was made a moment ago is refused: "it could take up to 10 minutes to become
# available" (https://github.com/hashicorp/terraform-provider-google/issues/11102). The database takes as long meanwhile.
resource "time_sleep" "metrics_known" {
  create_duration = "600s"

  triggers = {
    metrics = join(" ", [
      google_logging_metric.backups_failed.name,
      google_logging_metric.cleanups.name,
      google_logging_metric.error_rate.name,
      google_logging_metric.latency.name,
      google_logging_metric.pool_exhausted.name,
      google_logging_metric.quota_refusals.name,
    ])
  }
}

locals {
  not_in_latency = ["ai", "ai_chat", "backup", "health", "own_data"]
}
