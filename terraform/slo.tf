# What "normal" of the service levels promises over four weeks.
locals {
  slo_days = 28
  goals = {
    requests = (100 - local.service_levels["error_rate_percent"].normal) / 100
    p95_ms   = 0.95
    p99_ms   = 0.99
    health   = local.service_levels["health_percent"].normal / 100
  }
}

resource "google_monitoring_custom_service" "liftlog" {
  service_id   = "liftlog-${local.environment}"
  display_name = "LiftLog ${local.environment}"

  depends_on = [google_project_service.this]
}

resource "google_monitoring_slo" "requests" {
  service             = google_monitoring_custom_service.liftlog.service_id
  slo_id              = "requests"
  display_name        = "${100 - local.service_levels["error_rate_percent"].normal} % of requests are answered without an error of ours"
  goal                = local.goals.requests
  rolling_period_days = local.slo_days

  request_based_sli {
    good_total_ratio {
      total_service_filter = local.requests_filter
      bad_service_filter   = "${local.requests_filter} AND metric.labels.response_code_class=\"5xx\""
    }
  }
}

resource "google_monitoring_slo" "latency" {
  for_each = { for metric in ["p95_ms", "p99_ms"] : metric => local.goals[metric] }

  service             = google_monitoring_custom_service.liftlog.service_id
  slo_id              = replace(each.key, "_ms", "")
  display_name        = "${each.value * 100} % of requests take less than ${local.service_levels[each.key].normal} ms"
  goal                = each.value
  rolling_period_days = local.slo_days

  request_based_sli {
    distribution_cut {
      distribution_filter = local.latency_filter

      range {
        min = 0
        max = local.service_levels[each.key].normal
      }
    }
  }

  depends_on = [time_sleep.metrics_known]
}

resource "google_monitoring_slo" "health" {
  service             = google_monitoring_custom_service.liftlog.service_id
  slo_id              = "health"
  display_name        = "${local.service_levels["health_percent"].normal} % of the minutes the service answers"
  goal                = local.goals.health
  rolling_period_days = local.slo_days

  windows_based_sli {
    window_period          = "${local.minute}s"
    good_bad_metric_filter = local.health_filter
  }
}
