# The service levels as alerts: one policy for each row of service_levels.json, with its playbook in the message.
locals {
  services_filter = "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=monitoring.regex.full_match(\"${local.all_services}\")"
  requests_filter = "${local.services_filter} AND metric.type=\"run.googleapis.com/request_count\""
  latency_filter  = "resource.type=\"cloud_run_revision\" AND metric.type=\"logging.googleapis.com/user/${google_logging_metric.latency.name}\""
  backends_filter = "resource.type=\"cloudsql_database\" AND resource.labels.database_id=\"${var.project}:${google_sql_database_instance.main.name}\" AND metric.type=\"cloudsql.googleapis.com/database/postgresql/num_backends\""
  health_filter   = "resource.type=\"uptime_url\" AND metric.type=\"monitoring.googleapis.com/uptime_check/check_passed\" AND metric.labels.check_id=\"${google_monitoring_uptime_check_config.health.uptime_check_id}\""

  # By metric of the table. `per` is what the metric's 1 is in the table: most are percentages there and fractions
  # here. The error rate is a ratio of requests as Cloud Run counts them; the load balancer also counts
  # scanners, whose unknown paths are 503.
  alerts = {
    error_rate_percent = {
      playbook    = "error-rate"
      severity    = "CRITICAL"
      per         = 100
      filter      = "${local.requests_filter} AND metric.labels.response_code_class=\"5xx\""
      denominator = local.requests_filter
      aligner     = "ALIGN_RATE"
      reducer     = "REDUCE_SUM"
      group_by    = []
    }
    p95_ms = {
      playbook    = "latency-p95"
      severity    = "WARNING"
      per         = 1
      filter      = local.latency_filter
      denominator = null
      aligner     = "ALIGN_DELTA"
      reducer     = "REDUCE_PERCENTILE_95"
      group_by    = []
    }
    p99_ms = {
      playbook    = "latency-p99"
      severity    = "WARNING"
      per         = 1
      filter      = local.latency_filter
      denominator = null
      aligner     = "ALIGN_DELTA"
      reducer     = "REDUCE_PERCENTILE_99"
      group_by    = []
    }
    database_connections = {
      playbook    = "database-connections"
      severity    = "ERROR"
      per         = 1
      filter      = local.backends_filter
      denominator = null
      aligner     = "ALIGN_MAX"
      reducer     = "REDUCE_SUM"
      group_by    = []
    }
    memory_percent = {
      playbook    = "memory"
      severity    = "WARNING"
      per         = 100
      filter      = "${local.services_filter} AND metric.type=\"run.googleapis.com/container/memory/utilizations\""
      denominator = null
      aligner     = "ALIGN_PERCENTILE_99"
      reducer     = "REDUCE_MAX"
      group_by    = ["resource.labels.service_name"]
    }
    cpu_percent = {
      playbook    = "cpu"
      severity    = "WARNING"
      per         = 100
      filter      = "${local.services_filter} AND metric.type=\"run.googleapis.com/container/cpu/utilizations\""
      denominator = null
      aligner     = "ALIGN_PERCENTILE_99"
      reducer     = "REDUCE_MAX"
      group_by    = ["resource.labels.service_name"]
    }
    health_percent = {
      playbook    = "health"
      severity    = "CRITICAL"
      per         = 100
      filter      = local.health_filter
      denominator = null
      aligner     = "ALIGN_FRACTION_TRUE"
      reducer     = "REDUCE_MEAN"
      group_by    = []
    }
  }

  email_channels = [for channel in google_monitoring_notification_channel.email : channel.id]
  escalation     = var.owner == "" ? "" : "Owner: ${var.owner}. Not acknowledged: docs/runbook.md, Owner and escalation.\n\n"
  playbooks      = "${path.module}/../docs/playbooks"
  playbooks_url  = "${var.repository_url}/blob/main/docs/playbooks"
}

resource "google_monitoring_notification_channel" "email" {
  for_each = var.alert_emails

  display_name = each.value
  type         = "email"
  labels       = { email_address = each.value }

  depends_on = [google_project_service.this]
}

resource "google_monitoring_alert_policy" "service_level" {
  for_each = local.alerts

  display_name = "LiftLog ${local.environment}: ${local.service_levels[each.key].title}"
  combiner     = each.key == "health_percent" ? "AND" : "OR"
  enabled      = !var.unseen
  severity     = each.value.severity

  # Only that nobody gets through wakes somebody up.
  notification_channels = concat(local.email_channels, each.key == "health_percent" ? tolist(var.paging_channels) : [])

  conditions {
    display_name = "${local.service_levels[each.key].title} ${local.service_levels[each.key].higher_is_better ? "<" : ">"} ${local.service_levels[each.key].alert} ${local.service_levels[each.key].unit} for ${local.service_levels[each.key].alert_seconds} s"

    condition_threshold {
      filter                  = each.value.filter
      denominator_filter      = each.value.denominator
      comparison              = local.service_levels[each.key].higher_is_better ? "COMPARISON_LT" : "COMPARISON_GT"
      threshold_value         = local.service_levels[each.key].alert / each.value.per
      duration                = "${local.service_levels[each.key].alert_seconds}s"
      evaluation_missing_data = "EVALUATION_MISSING_DATA_INACTIVE" # no requests, no alert; silence is the health check's

      aggregations {
        alignment_period     = "${local.minute}s"
        per_series_aligner   = each.value.aligner
        cross_series_reducer = each.value.reducer
        group_by_fields      = each.value.group_by
      }

      dynamic "denominator_aggregations" {
        for_each = each.value.denominator == null ? [] : [each.value]

        content {
          alignment_period     = "${local.minute}s"
          per_series_aligner   = denominator_aggregations.value.aligner
          cross_series_reducer = denominator_aggregations.value.reducer
          group_by_fields      = denominator_aggregations.value.group_by
        }
      }
    }
  }

  # Health alone: one region of the check, a sixth of all, would be enough otherwise.
  dynamic "conditions" {
    for_each = each.key == "health_percent" ? [local.regions_fail] : []

    content {
      display_name = "More than one region fails"

      condition_threshold {
        filter          = conditions.value.filter
        comparison      = conditions.value.comparison
        threshold_value = conditions.value.threshold
        duration        = "${conditions.value.duration}s"

        aggregations {
          alignment_period     = "${conditions.value.period}s"
          per_series_aligner   = conditions.value.aligner
          cross_series_reducer = conditions.value.reducer
        }
      }
    }
  }

  documentation {
    mime_type = "text/markdown"
    content   = "${local.escalation}${file("${local.playbooks}/${each.value.playbook}.md")}"

    links {
      display_name = "Playbook"
      url          = "${local.playbooks_url}/${each.value.playbook}.md"
    }
  }

  alert_strategy {
    auto_close = "${local.day}s"
  }

  depends_on = [time_sleep.metrics_known]
}

# Beside the table: a cleanup that does not run is noticed by nobody until the disk is full.
resource "google_monitoring_alert_policy" "cleanup_missed" {
  display_name          = "LiftLog ${local.environment}: cleanup missed"
  combiner              = "OR"
  enabled               = !var.unseen
  severity              = "WARNING"
  notification_channels = local.email_channels

  conditions {
    display_name = "No cleanup came to its end in two hours"

    condition_absent {
      filter   = "resource.type=\"cloud_run_revision\" AND metric.type=\"logging.googleapis.com/user/${google_logging_metric.cleanups.name}\""
      duration = "${2 * local.hour + 10 * local.minute}s" # two missed runs

      aggregations {
        alignment_period     = "${5 * local.minute}s"
        per_series_aligner   = "ALIGN_SUM"
        cross_series_reducer = "REDUCE_SUM"
      }
    }
  }

  documentation {
    mime_type = "text/markdown"
    content   = "${local.escalation}${file("${local.playbooks}/cleanup-missed.md")}"

    links {
      display_name = "Playbook"
      url          = "${local.playbooks_url}/cleanup-missed.md"
    }
  }

  alert_strategy {
    auto_close = "${local.day}s"
  }

  depends_on = [time_sleep.metrics_known]
}

# Beside the table: refusals are no errors, and somebody who fills what there is to fill should not go unseen.
resource "google_monitoring_alert_policy" "quota_refusals" {
  display_name          = "LiftLog ${local.environment}: quotas"
  combiner              = "OR"
  enabled               = !var.unseen
  severity              = "WARNING"
  notification_channels = local.email_channels

  conditions {
    display_name = "More than a hundred requests were refused by a quota within an hour"

    condition_threshold {
      filter          = "resource.type=\"cloud_run_revision\" AND metric.type=\"logging.googleapis.com/user/${google_logging_metric.quota_refusals.name}\""
      comparison      = "COMPARISON_GT"
      threshold_value = 100
      duration        = "0s"

      aggregations {
        alignment_period     = "${local.hour}s"
        per_series_aligner   = "ALIGN_SUM"
        cross_series_reducer = "REDUCE_SUM"
      }
    }
  }

  documentation {
    mime_type = "text/markdown"
    content   = "${local.escalation}${file("${local.playbooks}/quotas.md")}"

    links {
      display_name = "Playbook"
      url          = "${local.playbooks_url}/quotas.md"
    }
  }

  alert_strategy {
    auto_close = "${local.day}s"
  }

  depends_on = [time_sleep.metrics_known]
}

# Asks from all continents, once a minute, whether the service and its database answer.
resource "google_monitoring_uptime_check_config" "health" {
  display_name = "LiftLog ${local.environment}"
  timeout      = "10s"
  period       = var.unseen ? "${15 * local.minute}s" : "${local.minute}s"

  http_check {
    path         = "/health/ready"
    port         = 443
    use_ssl      = true
    validate_ssl = true
  }

  monitored_resource {
    type = "uptime_url"
    labels = {
      project_id = var.project
      host       = local.is_balanced ? var.domain : trimprefix(module.function["gateway"].uri, "https://")
    }
  }

  depends_on = [google_project_service.this]
}
