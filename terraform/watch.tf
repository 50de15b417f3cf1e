# What the table of service levels does not say: how fast an objective's budget burns, and what ends slowly or from outside.
#
# Burn rates: 14.4 for an hour is 2 % of four weeks' budget, 3 for a day 10 % (Site Reliability Workbook, "Alerting on SLOs").
# Each is looked at over a long window and over a twelfth of it, so that an alert ends when its cause has. They are
# computed from the objectives' metrics and goals (slo.tf), to four digits, since a computed number's last ones are not
# those that the state holds, and no plan would be empty. A share s of requests that is slower is the percentile 1 - s.
locals {
  burns = {
    fast = { rate = 14.4, windows = [local.hour, 5 * local.minute], severity = "CRITICAL" }
    slow = { rate = 3, windows = [local.day, 2 * local.hour], severity = "WARNING" }
  }
  budget_of_requests = 1 - local.goals.requests
  budget_of_health   = 1 - local.goals.health

  # Of these percentiles there are ready-made reducers: half the requests too slow is a rate of 10 of p95's 5 %, a
  # twentieth is 5 of p99's 1 %.
  slow_shares = {
    p95_ms = { reducer = "REDUCE_PERCENTILE_50", share = 0.5 }
    p99_ms = { reducer = "REDUCE_PERCENTILE_95", share = 0.05 }
  }

  database_metric = "resource.type=\"cloudsql_database\" AND resource.labels.database_id=\"${var.project}:${google_sql_database_instance.main.name}\" AND metric.type="
  our_metric      = "resource.type=\"cloud_run_revision\" AND metric.type="
  uptime_metric   = "resource.type=\"uptime_url\" AND metric.labels.check_id=\"${google_monitoring_uptime_check_config.health.uptime_check_id}\" AND metric.type="

  # More than one of the regions that the uptime check asks from: a single one that fails has troubles of its own.
  regions_fail = {
    filter     = local.health_filter
    aligner    = "ALIGN_NEXT_OLDER"
    reducer    = "REDUCE_COUNT_FALSE"
    comparison = "COMPARISON_GT"
    threshold  = 1
    period     = 5 * local.minute
    duration   = local.minute
  }

  watches = merge(
    { for name, burn in local.burns : "burn_requests_${name}" => {
      title    = "errors burn the budget ${burn.rate} times too fast"
      playbook = "burn-rate"
      severity = burn.severity
      combiner = "AND"
      conditions = [for window in burn.windows : {
        filter      = local.alerts["error_rate_percent"].filter
        denominator = local.requests_filter
        aligner     = "ALIGN_RATE"
        reducer     = "REDUCE_SUM"
        comparison  = "COMPARISON_GT"
        threshold   = tonumber(format("%.4f", burn.rate * local.budget_of_requests))
        period      = window
        duration    = 0
      }]
    } },
    { for metric, slow in local.slow_shares : "burn_${metric}" => {
      title    = "slow requests burn the budget of ${local.service_levels[metric].normal} ms ${format("%.0f", slow.share / (1 - local.goals[metric]))} times too fast"
      playbook = "burn-rate"
      severity = "WARNING"
      combiner = "AND"
      conditions = [for window in local.burns.fast.windows : {
        filter      = local.latency_filter
        denominator = null
        aligner     = "ALIGN_DELTA"
        reducer     = slow.reducer
        comparison  = "COMPARISON_GT"
        threshold   = local.service_levels[metric].normal
        period      = window
        duration    = 0
      }]
    } },
    {
      burn_health = {
        title    = "failing checks burn the budget ${local.burns.fast.rate} times too fast"
        playbook = "burn-rate"
        severity = "CRITICAL"
        combiner = "AND"
        conditions = concat([for window in local.burns.fast.windows : {
          filter      = local.health_filter
          denominator = null
          aligner     = "ALIGN_FRACTION_TRUE"
          reducer     = "REDUCE_MEAN"
          comparison  = "COMPARISON_LT"
          threshold   = tonumber(format("%.4f", 1 - local.burns.fast.rate * local.budget_of_health))
          period      = window
          duration    = 0
        }], [merge(local.regions_fail, { denominator = null })])
      }
      database_cpu = {
        title    = "the database's CPU is above 80 % for a quarter of an hour"
        playbook = "database-cpu"
        severity = "WARNING"
        combiner = "OR"
        conditions = [{
          filter      = "${local.database_metric}\"cloudsql.googleapis.com/database/cpu/utilization\""
          denominator = null
          aligner     = "ALIGN_MEAN"
          reducer     = "REDUCE_MAX"
          comparison  = "COMPARISON_GT"
          threshold   = 0.8
          period      = local.minute
          duration    = 15 * local.minute
        }]
      }
      database_disk = {
        title    = "the database's disk is fuller than 85 %"
        playbook = "database-disk"
        severity = "ERROR"
        combiner = "OR"
        conditions = [{
          filter      = "${local.database_metric}\"cloudsql.googleapis.com/database/disk/utilization\""
          denominator = null
          aligner     = "ALIGN_MAX"
          reducer     = "REDUCE_MAX"
          comparison  = "COMPARISON_GT"
          threshold   = 0.85 # it grows by itself, so that it stays so full is a limit or a fault
          period      = 5 * local.minute
          duration    = 30 * local.minute
        }]
      }
      backup_failed = {
        title    = "a nightly backup failed"
        playbook = "backup-failed"
        severity = "ERROR"
        combiner = "OR"
        conditions = [{
          filter      = "resource.type=\"cloudsql_database\" AND metric.type=\"logging.googleapis.com/user/${google_logging_metric.backups_failed.name}\""
          denominator = null
          aligner     = "ALIGN_SUM"
          reducer     = "REDUCE_SUM"
          comparison  = "COMPARISON_GT"
          threshold   = 0
          period      = local.hour
          duration    = 0
        }]
      }
      certificate = {
        title    = "the certificate ends in less than two weeks"
        playbook = "certificate"
        severity = "ERROR"
        combiner = "OR"
        conditions = [{
          filter      = "${local.uptime_metric}\"monitoring.googleapis.com/uptime_check/time_until_ssl_cert_expires\""
          denominator = null
          aligner     = "ALIGN_NEXT_OLDER"
          reducer     = "REDUCE_MIN"
          comparison  = "COMPARISON_LT"
          threshold   = 14 # days; managed ones are renewed a month before
          period      = 20 * local.minute
          duration    = 10 * local.minute
        }]
      }
      pool_exhausted = {
        title    = "more than ten requests in five minutes found no database connection"
        playbook = "pool-exhausted"
        severity = "ERROR"
        combiner = "OR"
        conditions = [{
          filter      = "${local.our_metric}\"logging.googleapis.com/user/${google_logging_metric.pool_exhausted.name}\""
          denominator = null
          aligner     = "ALIGN_SUM"
          reducer     = "REDUCE_SUM"
          comparison  = "COMPARISON_GT"
          threshold   = 10
          period      = 5 * local.minute
          duration    = 0
        }]
      }
    },
    { for name, policy in { armor_denials = google_compute_security_policy.balancer } : name => {
      title                               = "Cloud Armor refused more than a thousand requests in ten minutes"
      playbook                            = "armor-denials"
      severity                            = "WARNING"
      combiner                            = "OR"
      conditions = [{
        filter      = "resource.type=\"network_security_policy\" AND resource.labels.policy_name=\"${policy[0].name}\" AND metric.type=\"networksecurity.googleapis.com/https/request_count\" AND metric.labels.blocked=\"true\""
        denominator = null
        aligner     = "ALIGN_SUM"
        reducer     = "REDUCE_SUM"
        comparison  = "COMPARISON_GT"
        threshold   = 1000
        period      = 10 * local.minute
        duration    = 0
      }]
    } if local.is_balanced },
  )
}

resource "google_monitoring_alert_policy" "watch" {
  for_each = local.watches

  display_name          = "LiftLog ${local.environment}: ${each.value.title}"
  combiner              = each.value.combiner
  enabled               = !var.unseen
  severity              = each.value.severity
  notification_channels = concat(local.email_channels, contains(["burn_requests_fast", "burn_health"], each.key) ? tolist(var.paging_channels) : [])

  dynamic "conditions" {
    for_each = each.value.conditions

    content {
      display_name = "${each.value.title}, over ${conditions.value.period} s"

      condition_threshold {
        filter             = conditions.value.filter
        denominator_filter = conditions.value.denominator
        comparison         = conditions.value.comparison
        threshold_value    = conditions.value.threshold
        duration           = "${conditions.value.duration}s"

        aggregations {
          alignment_period     = "${conditions.value.period}s"
          per_series_aligner   = conditions.value.aligner
          cross_series_reducer = conditions.value.reducer
        }

        dynamic "denominator_aggregations" {
          for_each = conditions.value.denominator == null ? [] : [conditions.value]

          content {
            alignment_period     = "${denominator_aggregations.value.period}s"
            per_series_aligner   = denominator_aggregations.value.aligner
            cross_series_reducer = denominator_aggregations.value.reducer
          }
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

# Quotas of the project (instances, addresses, backend services): what is used of what is allowed, of all at once. A ratio of
# two metrics that have other labels takes PromQL.
resource "google_monitoring_alert_policy" "quota_use" {
  display_name          = "LiftLog ${local.environment}: a quota of the project is used to more than 80 %"
  combiner              = "OR"
  enabled               = !var.unseen
  severity              = "WARNING"
  notification_channels = local.email_channels

  conditions {
    display_name = "More than 80 % of a quota"

    condition_prometheus_query_language {
      query               = <<-EOT
        max by (quota_metric, location) (max_over_time(serviceruntime_googleapis_com:quota_allocation_usage{monitored_resource="consumer_quota"}[1d]))
        / on (quota_metric, location)
        min by (quota_metric, location) (last_over_time(serviceruntime_googleapis_com:quota_limit{monitored_resource="consumer_quota"}[1d]) > 0)
        > 0.8
      EOT
      duration            = "0s"
      evaluation_interval = "${local.hour}s"
    }
  }

  documentation {
    mime_type = "text/markdown"
    content   = "${local.escalation}${file("${local.playbooks}/quota-use.md")}"

    links {
      display_name = "Playbook"
      url          = "${local.playbooks_url}/quota-use.md"
    }
  }

  alert_strategy {
    auto_close = "${local.day}s"
  }

  depends_on = [google_project_service.this]
}
