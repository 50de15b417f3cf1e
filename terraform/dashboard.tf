# The seven panels, with the service levels drawn into them: a line where normal ends, and one where the alert begins. A
# threshold of an XyChart has neither colour nor direction (Monitoring API v1, Threshold); only scorecards do.
locals {
  aggregation = { alignmentPeriod = "${local.minute}s" }

  panels = [
    {
      title      = "Requests per second"
      level      = null
      per        = 1
      ratio      = null
      filter     = local.requests_filter
      aligner    = "ALIGN_RATE"
      reducers   = { "" = "REDUCE_SUM" }
      group_by   = ["resource.labels.service_name"]
      plot_type  = "STACKED_AREA"
      axis_label = "1/s"
    },
    {
      title      = "Error rate"
      level      = "error_rate_percent"
      per        = 100
      ratio      = local.requests_filter
      filter     = "${local.requests_filter} AND metric.labels.response_code_class=\"5xx\""
      aligner    = "ALIGN_RATE"
      reducers   = { "" = "REDUCE_SUM" }
      group_by   = []
      plot_type  = "LINE"
      axis_label = "fraction"
    },
    {
      title      = "Latency, without the planner"
      level      = "p95_ms"
      per        = 1
      ratio      = null
      filter     = local.latency_filter
      aligner    = "ALIGN_DELTA"
      reducers   = { p50 = "REDUCE_PERCENTILE_50", p95 = "REDUCE_PERCENTILE_95", p99 = "REDUCE_PERCENTILE_99" }
      group_by   = []
      plot_type  = "LINE"
      axis_label = "ms"
    },
    {
      title      = "Instances"
      level      = null
      per        = 1
      ratio      = null
      filter     = "${local.services_filter} AND metric.type=\"run.googleapis.com/container/instance_count\""
      aligner    = "ALIGN_MAX"
      reducers   = { "" = "REDUCE_SUM" }
      group_by   = ["resource.labels.service_name"]
      plot_type  = "STACKED_AREA"
      axis_label = ""
    },
    {
      title      = "Memory, of its limit"
      level      = "memory_percent"
      per        = 100
      ratio      = null
      filter     = local.alerts["memory_percent"].filter
      aligner    = "ALIGN_PERCENTILE_99"
      reducers   = { "" = "REDUCE_MAX" }
      group_by   = ["resource.labels.service_name"]
      plot_type  = "LINE"
      axis_label = "fraction"
    },
    {
      title      = "CPU, of its limit"
      level      = "cpu_percent"
      per        = 100
      ratio      = null
      filter     = local.alerts["cpu_percent"].filter
      aligner    = "ALIGN_PERCENTILE_99"
      reducers   = { "" = "REDUCE_MAX" }
      group_by   = ["resource.labels.service_name"]
      plot_type  = "LINE"
      axis_label = "fraction"
    },
    {
      title      = "Database connections"
      level      = "database_connections"
      per        = 1
      ratio      = null
      filter     = local.backends_filter
      aligner    = "ALIGN_MAX"
      reducers   = { "" = "REDUCE_SUM" }
      group_by   = []
      plot_type  = "LINE"
      axis_label = ""
    },
  ]

  tiles = [for index, panel in local.panels : {
    xPos   = 6 * (index % 2)
    yPos   = 4 * floor(index / 2)
    width  = 6
    height = 4
    widget = {
      title = panel.title
      xyChart = {
        yAxis = { label = panel.axis_label, scale = "LINEAR" }
        thresholds = panel.level == null ? [] : [
          { value = local.service_levels[panel.level].normal / panel.per, label = "normal" },
          { value = local.service_levels[panel.level].alert / panel.per, label = "alert" },
        ]
        dataSets = [for name, reducer in panel.reducers : {
          plotType       = panel.plot_type
          legendTemplate = name
          timeSeriesQuery = {
            for kind, query in {
              timeSeriesFilter = panel.ratio != null ? null : {
                filter      = panel.filter
                aggregation = merge(local.aggregation, { perSeriesAligner = panel.aligner, crossSeriesReducer = reducer, groupByFields = panel.group_by })
              }
              timeSeriesFilterRatio = panel.ratio == null ? null : {
                numerator   = { filter = panel.filter, aggregation = merge(local.aggregation, { perSeriesAligner = panel.aligner, crossSeriesReducer = reducer }) }
                denominator = { filter = panel.ratio, aggregation = merge(local.aggregation, { perSeriesAligner = panel.aligner, crossSeriesReducer = reducer }) }
              }
            } : kind => query if query != null
          }
        }]
      }
    }
  }]
}

resource "google_monitoring_dashboard" "liftlog" {
  dashboard_json = jsonencode({
    displayName  = "LiftLog ${local.environment}"
    labels       = { liftlog = "" }
    mosaicLayout = { columns = 12, tiles = local.tiles }
  })

  depends_on = [google_project_service.this]
}

# Operators may look.
resource "google_project_iam_member" "operators_look" {
  for_each = {
    for pair in setproduct(var.operators, ["roles/monitoring.viewer", "roles/logging.viewer"]) : "${pair[0]} ${pair[1]}" => { member = pair[0], role = pair[1] }
  }

  project = var.project
  role    = each.value.role
  member  = each.value.member
}
