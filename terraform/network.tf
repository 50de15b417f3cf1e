# A network that holds the database's private address and the connector through which functions reach it. Nothing in it
# has a public address, and nothing outside can open a connection into it.
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

# Functions have no network of their own; only what is addressed to a private range takes this way.
resource "google_vpc_access_connector" "main" {
  name          = "liftlog-${local.short_environment}" # at most 25 characters
  region        = var.region
  network       = google_compute_network.main.name
  ip_cidr_range = "10.8.0.0/28"
  machine_type  = "e2-micro"
  min_instances = 2
  max_instances = local.is_production ? 4 : 3

  depends_on = [google_project_service.this]
}

locals {
  short_environment = { staging = "stg", production = "prod" }[local.environment]
}
