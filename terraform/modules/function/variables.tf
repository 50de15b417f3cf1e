variable "name" {
  description = "Name of the function, like liftlog-follow-secret-staging; a client's base URL ends in it."
  type        = string
}

variable "account_id" {
  description = "Id of its service account, 6 to 30 characters."
  type        = string
}

variable "description" {
  description = "What it does, for people who list functions."
  type        = string
}

variable "project" {
  description = "Id of the project."
  type        = string
}

variable "region" {
  description = "Where it runs."
  type        = string
}

variable "source_package" {
  description = "The family whose package it is, which is also the entry point's name."
  type        = string
}

variable "source_bucket" {
  description = "Bucket of the package."
  type        = string
}

variable "source_object" {
  description = "Object of the package that it is made from at first."
  type        = string
}

variable "repository" {
  description = "Id of the repository for a function's image."
  type        = string
}

variable "image" {
  description = "The image, where it is a service (cpu_always)."
  type        = string
}

variable "build_account" {
  description = "Id of the service account that builds."
  type        = string
}

variable "cpu_always" {
  description = "Whether it has its CPU between requests, too; then it is a Cloud Run service built from the same package."
  type        = bool
}

variable "deletion_protection" {
  description = "Whether a service refuses to be deleted."
  type        = bool
}

variable "memory" {
  description = "Of one instance, in MiB."
  type        = number
}

variable "cpu" {
  description = "CPUs of one instance; more than one request at once takes at least 1."
  type        = number
}

variable "concurrency" {
  description = "Requests at once in one instance."
  type        = number
}

variable "timeout_seconds" {
  description = "Longest request."
  type        = number
}

variable "instances" {
  description = "Least and most instances."
  type        = object({ least = number, most = number })
}

variable "network" {
  description = "Name of the network through which it reaches the database."
  type        = string
}

variable "subnetwork" {
  description = "Name of the subnetwork in it that its addresses come from."
  type        = string
}

variable "environment" {
  description = "Environment variables; nothing secret."
  type        = map(string)
}

variable "secrets" {
  description = "The secrets it may read: manifest's name to secret's id."
  type        = map(string)
}

variable "database_instance" {
  description = "The Cloud SQL instance it may connect to, and no other."
  type        = string
}

variable "logs_in_by_iam" {
  description = "Whether it logs in there as itself, without a password."
  type        = bool
}

variable "access" {
  description = "public: anybody may call it. private: only operators and callers, proven by an identity token."
  type        = string
}

variable "balanced" {
  description = "Whether a load balancer stands in front of public functions; then nothing else from outside reaches them."
  type        = bool
}

variable "operators" {
  description = "People and service accounts that call it, also with `gcloud functions call`."
  type        = set(string)
}

variable "callers" {
  description = "Services that call it: a name to a member."
  type        = map(string)
}
