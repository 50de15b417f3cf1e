# What environments of earlier versions have, and must not lose at the apply that no longer names it: revisions that serve until
# the next release go on using it. It is forgotten here, and removed by hand after that release (docs/infrastructure.md,
# "From an earlier version").
removed {
  from = google_vpc_access_connector.main

  lifecycle {
    destroy = false
  }
}

removed {
  from = module.function.google_cloud_run_v2_service_iam_member.anybody

  lifecycle {
    destroy = false
  }
}

removed {
  from = google_storage_bucket_object.source

  lifecycle {
    destroy = false
  }
}
