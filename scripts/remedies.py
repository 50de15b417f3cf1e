"""What is really wrong when gcloud fails, and the command that mends it: not logged in is not "no backup".

scripts/cloud.py asks it, and the shell scripts through lib.sh: with the standard error of gcloud on standard input and
GCP_PROJECT_ID it prints a sentence, or nothing where the message itself says it all.
"""

import os
import re
import sys

_LOGIN = (
    r"active account|gcloud auth login|[Rr]eauthentication|invalid_grant|credentialed accounts|Request had invalid auth"
)
_REMEDIES = (
    (_LOGIN, "you are not logged in: gcloud auth login"),
    (r"BILLING_DISABLED|[Bb]illing (?:must|account|to be)|requires billing|UREQ_PROJECT_BILLING",
     "the project has no billing account: gcloud billing projects link {project} --billing-account=ID"
     " (gcloud billing accounts list)"),
    (r"SERVICE_DISABLED|has not been used in project|API .{0,60}not enabled|it is disabled",
     "an API is not enabled: gcloud services enable {api} (terraform/bootstrap and terraform apply do)"),
    (r"RESOURCE_EXHAUSTED|[Qq]uota .{0,80}exceeded|QUOTA_EXCEEDED|quotaExceeded",
     "a quota is used up: docs/playbooks/quota-use.md, or ask for more at"
     " https://console.cloud.google.com/iam-admin/quotas?project={project}"),
    (r"PERMISSION_DENIED|[Pp]ermission .{0,80}denied|does not have (?:permission|\S+ access)|\b403\b|forbidden",
     "your account lacks a role; an owner of the project gives it: gcloud projects add-iam-policy-binding {project}"
     " --member=user:YOU --role=ROLE (which roles deploying takes: terraform/bootstrap/deployer.tf)"),
)  # fmt: skip


def remedy(text: str, project: str) -> str:
    """Return what is wrong and how to mend it; empty where it is nothing of the account's or the project's."""
    for pattern, sentence in _REMEDIES:
        if re.search(pattern, text):
            api = re.search(r"\b([a-z]+\.googleapis\.com)\b", text)
            return sentence.format(project=project or "PROJECT", api=api[1] if api else "NAME.googleapis.com")
    return ""


if __name__ == "__main__":
    found = remedy(sys.stdin.read(), os.environ.get("GCP_PROJECT_ID", ""))
    if found:
        print(found)
