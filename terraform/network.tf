# A network that holds the database's private address, and the functions' on their way to it. Nothing in it has a public
# address, and nothing outside can open a connection into it.
resource "google_compute_network" "main" {
  name                    = "liftlog-${local.environment}"
  auto_create_subnetworks = false

  depends_on = [google_project_service.this]
}

resource "google_compute_global_address" "database" {
  name          = "liftlog-database-${local.environment}"
  purpose       = "VPC_PEERING"
  address_type  = "INTERNAL"
  prefix_length = 20
  network       = google_compute_network.main.id
}

resource "google_service_networking_connection" "database" {
  network                 = google_compute_network.main.id
  service                 = "servicenetworking.googleapis.com"
  reserved_peering_ranges = [google_compute_global_address.database.name]
  deletion_policy         = "ABANDON" # Google keeps a deleted instance's peering for days, and refuses to end it

  depends_on = [google_project_service.this]
}

# Functions send what is addressed to a private range from addresses of their own here (direct VPC egress); all else leaves as
# without a network. Cloud Run takes 2 addresses for an instance, in blocks of 16, and gives those of an old revision back
# after 20 minutes (https://cloud.google.com/run/docs/configuring/vpc-direct-vpc#direct-vpc-ip-allocation).
resource "google_compute_subnetwork" "functions" {
  name                     = "liftlog-functions-${local.environment}"
  region                   = var.region
  network                  = google_compute_network.main.id
  ip_cidr_range            = "10.9.0.0/22" # 1024 addresses, beside the connector's of earlier versions; a test counts what a release takes
  private_ip_google_access = true
}

locals {
  short_environment = { staging = "stg", production = "prod" }[local.environment]
}
