"""A stand-in for gcloud, for the many ways a release can go: the real one takes a second and a half to start.

It knows the commands that scripts/cloud.py and scripts/records.py give, argument by argument, refuses all others, and
does to the fake project what they do. `test_release.py` runs the whole story with the real gcloud, too.
"""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests

from tests.scripts.fake_cloud import BUCKET, REGION, FakeProject, programs
from tests.waiting import WAIT_SECONDS

# Speaks HTTP by hand: the standard library's client takes longer to import than all else that a command does.
SCRIPT = f"""#!{sys.executable} -SE
import json, os, socket, sys
body = json.dumps([sys.argv[1:], sys.stdin.read()]).encode()
host, port = os.environ["STAND_IN"].split(":")
server = socket.create_connection((host, int(port)))
server.sendall(b"POST /stand-in HTTP/1.0\\r\\nContent-Length: %d\\r\\n\\r\\n%b" % (len(body), body))
code, out, err = json.loads(server.makefile().read().partition("\\n\\n")[2])
sys.stdout.write(out), sys.stderr.write(err), sys.exit(code)
"""
ALWAYS = ["--project=a-project", "--quiet"]


class Refused(Exception):
    """The command fails; the message is what gcloud says."""


class StandIn(FakeProject):
    """The project, and the command line that changes it."""

    def __init__(self, functions: dict[str, str], services: dict[str, str] | None = None) -> None:
        super().__init__(functions, services)
        self.maintenance: dict[str, bool] = {}  # whether a service's newest settings refuse everybody
        self.restored: list[str] = []  # ids of backups
        self.restore_fails = False
        self.closed_when_restored: list[str] = []

    def install(self, folder: Path) -> dict[str, str]:
        """Put the stand-in into a folder; return the environment in which it is found before the real one."""
        program = programs(folder) / "gcloud"
        program.write_text(SCRIPT)
        program.chmod(0o755)
        self.answers["POST /stand-in"] = lambda _match, body, _query: (200, self.command(*body))
        return {"STAND_IN": self.url.removeprefix("http://")}

    def command(self, arguments: list[str], stdin: str) -> tuple[int, str, str]:
        """Do what a command does. Return status, output and messages."""
        arguments = [word for word in arguments if word not in ALWAYS]
        words = [word for word in arguments if not word.startswith("--")]
        options = dict(word.lstrip("-").split("=", 1) for word in arguments if word.startswith("--") and "=" in word)
        flags = {word for word in arguments if word.startswith("--") and "=" not in word}
        commands: dict[tuple[str, ...], Callable[..., str]] = {
            ("auth", "print-access-token"): lambda _words, _options: "an-access-token\n",
            ("auth", "print-identity-token"): lambda _words, _options: "an-identity-token\n",
            ("run", "services", "list"): self._list_services,
            ("run", "services", "describe"): self._describe_service,
            ("run", "services", "update-traffic"): self._update_traffic,
            ("run", "revisions", "list"): lambda *_: "".join(
                f"{r}\n" for all_ in self.revisions.values() for r in all_
            ),
            ("run", "services", "update"): lambda words, options: self._update_service(words, options, flags),
            ("sql", "instances", "describe"): lambda *_: f"{self.database}\n",
            ("sql", "backups", "create"): self._create_backup,
            ("sql", "backups", "describe"): self._describe_backup,
            ("sql", "backups", "list"): lambda *_: f"{self.backups[-1]['id']}  SUCCESSFUL\n",
            ("sql", "backups", "restore"): self._restore,
            ("sql", "users", "set-password"): self._set_user_password,
            ("secrets", "describe"): self._describe_secret,
            ("secrets", "versions", "access"): lambda _words, options: self.versions[options["secret"]][-1][0].decode(),
            ("scheduler", "jobs", "pause"): lambda *_: self._set_job("PAUSED"),
            ("scheduler", "jobs", "resume"): lambda *_: self._set_job("ENABLED"),
            ("run", "deploy"): self._deploy_image,
            ("builds", "submit"): self._submit,
            ("functions", "list"): lambda *_: json.dumps([self._function(name) for name in self.functions]),
            ("functions", "deploy"): self._deploy,
            ("functions", "call"): self._call,
            ("storage", "cp"): lambda words, options: self._copy(words, options, stdin, flags),
            ("storage", "cat"): self._cat,
            ("storage", "ls"): self._ls,
            ("storage", "rm"): self._rm,
        }
        for path, do in commands.items():
            if tuple(words[: len(path)]) == path:
                try:
                    return 0, do(words[len(path) :], options), ""
                except Refused as error:
                    return 1, "", f"ERROR: (gcloud.{'.'.join(path)}) {error}\n"
        return 2, "", f"ERROR: the stand-in does not know: gcloud {' '.join(arguments)}\n"

    def _list_services(self, words: list[str], options: dict[str, str]) -> str:
        assert (words, options) == ([], {"region": REGION, "format": "json"})
        return json.dumps([self._service(name) for name in self.services])

    def _describe_service(self, words: list[str], options: dict[str, str]) -> str:
        assert options["format"] == "value(status.url)"
        if words[0] not in self.services:
            raise Refused(f"Cannot find service [{words[0]}]")
        return f"{self._service(words[0])['status']['url']}\n"

    def _update_traffic(self, words: list[str], options: dict[str, str]) -> str:
        assert set(options) <= {"region", "to-revisions", "update-tags", "format"}, options
        (name,) = words
        kept = [entry for entry in self._service(name)["status"]["traffic"] if entry.get("tag")]
        tags = {entry["tag"]: entry["revisionName"] for entry in kept}
        tags |= dict(pair.split("=") for pair in options.get("update-tags", "").split(",") if pair)
        shares = {r: int(percent) for r, percent in (pair.split("=") for pair in options["to-revisions"].split(","))}
        unknown = (set(shares) | set(tags.values())) - set(self.revisions[name])
        if unknown or sum(shares.values()) != 100:
            raise Refused(f"INVALID_ARGUMENT: {unknown} {shares}")
        traffic: list[dict[str, Any]] = [{"revisionName": r, "percent": percent} for r, percent in shares.items()]
        traffic += [{"revisionName": r, "tag": tag} for tag, r in tags.items()]
        self.services[name]["spec"]["traffic"] = traffic
        self.requests.append(("PUT", f"traffic/{name}", shares))
        return ""

    def _update_service(self, words: list[str], options: dict[str, str], flags: set[str]) -> str:
        (name,) = words
        if "--no-invoker-iam-check" in flags:  # of the service, not of a revision
            self.services[name]["metadata"]["annotations"]["run.googleapis.com/invoker-iam-disabled"] = "true"
            self.requests.append(("PUT", f"open/{name}", options))
            return ""
        assert "--no-traffic" in flags
        suffix = options.get("revision-suffix")
        self.maintenance[name] = "update-env-vars" in options
        assert options.get("update-env-vars", options.get("remove-env-vars", "")).startswith("MAINTENANCE")
        self.new_revision(name, f"{name}-{suffix}" if suffix else "")
        self.requests.append(("PUT", f"service/{name}", options))
        return ""

    def _create_backup(self, _words: list[str], options: dict[str, str]) -> str:
        self._make_backup(re.match("", ""), {"description": options["description"]}, {})  # type: ignore[arg-type]
        return ""

    def _describe_backup(self, words: list[str], _options: dict[str, str]) -> str:
        found = [backup for backup in self.backups if backup["id"] == words[0]]
        if not found:
            raise Refused("HTTPError 404: the backup run does not exist")
        return f"{found[0]['status']}\n"

    def _restore(self, words: list[str], options: dict[str, str]) -> str:
        assert options == {"restore-instance": "liftlog-user-data-staging"}, options
        if self.restore_fails:
            raise Refused("the instance is busy")
        self.restored.append(words[0])
        self.closed_when_restored = [
            name for name in self.services if any("maintenance" in r for r in self.traffic(name))
        ]
        return ""

    def _describe_secret(self, words: list[str], _options: dict[str, str]) -> str:
        if words[0] not in self.versions:
            raise Refused(f"NOT_FOUND: Secret [{words[0]}] not found")
        return f"{words[0]}\n"

    def _set_user_password(self, words: list[str], options: dict[str, str]) -> str:
        assert set(options) == {"instance", "flags-file"}, options  # no argument shows the password
        self.passwords[words[0]] = "(in a file of the caller's)"
        return ""

    def _set_job(self, state: str) -> str:
        self.job = state
        return ""

    def _deploy(self, words: list[str], options: dict[str, str]) -> str:
        assert set(options) == {"region", "source", "format"}, options
        (name,) = words
        if options["source"].removeprefix(f"gs://{BUCKET}/") not in self.objects:
            raise Refused(f"there is no {options['source']}")
        source = {"bucket": BUCKET, "object": options["source"].rpartition("/")[2]}
        path = (
            f"cloudfunctions/v2/projects/a-project/locations/{REGION}/functions/{name}?updateMask=build_config.source"
        )
        _, operation, _ = self.answer(
            "PATCH", f"http://{path.replace('/', '.fake/', 1)}", {},
            json.dumps({"buildConfig": {"source": {"storageSource": source}}}).encode(),
        )  # fmt: skip
        if "error" in operation:
            raise Refused(f"OperationError: code=3, message={operation['error']['message']}")
        return ""

    def _submit(self, words: list[str], options: dict[str, str]) -> str:
        if words[0].removeprefix(f"gs://{BUCKET}/") not in self.objects:
            raise Refused(f"there is no {words[0]}")
        substitutions = dict(pair.split("=") for pair in options["substitutions"].split(","))
        path = f"http://cloudbuild.fake/v1/projects/a-project/locations/{REGION}/builds"
        _, operation, _ = self.answer("POST", path, {}, json.dumps({"substitutions": substitutions}).encode())
        if operation["metadata"]["build"]["status"] != "SUCCESS":
            raise Refused("build failed")
        digest: str = operation["metadata"]["build"]["results"]["images"][0]["digest"]
        return f"{digest}\n"

    def _deploy_image(self, words: list[str], options: dict[str, str]) -> str:
        assert set(options) == {"region", "image", "update-labels", "format"}, options
        label, _, value = options["update-labels"].partition("=")
        self.services[words[0]]["metadata"]["labels"][label] = value
        self.services[words[0]]["spec"]["template"]["spec"]["containers"][0]["image"] = options["image"]
        self.new_revision(words[0])
        return ""

    def _call(self, words: list[str], options: dict[str, str]) -> str:
        assert options["format"] == "value(.)"
        try:
            url = self._service(words[0])["status"]["url"]
            answer = requests.post(
                url, options["data"], headers={"Content-Type": "application/json"}, timeout=WAIT_SECONDS
            )
            answer.raise_for_status()
        except requests.RequestException as error:
            raise Refused(f"gcloud crashed: {type(error).__name__}") from error
        return f"{answer.text}\n"

    def _copy(self, words: list[str], options: dict[str, str], stdin: str, flags: set[str]) -> str:
        assert flags <= {"--no-clobber"}, flags
        source, target = words
        if source.startswith("gs://"):
            Path(target).write_bytes(self.objects[source.removeprefix(f"gs://{BUCKET}/")])
            return ""
        name = target.removeprefix(f"gs://{BUCKET}/")
        if "--no-clobber" in flags and name in self.objects:
            return ""
        content = stdin.encode() if source == "-" else Path(source).read_bytes()
        wanted = int(options["if-generation-match"]) if "if-generation-match" in options else None
        status, _, _ = self._store(name, content, wanted)
        if status == 412:
            raise Refused("HTTPError 412: At least one of the pre-conditions did not hold.")
        self.requests.append(("PUT", f"storage/{name}", None))
        return ""

    def _cat(self, words: list[str], _options: dict[str, str]) -> str:
        content = self.objects.get(words[0].removeprefix(f"gs://{BUCKET}/"))
        if content is None:
            raise Refused(f"The following URLs matched no objects or files: {words[0]}")
        return content.decode()

    def _ls(self, words: list[str], _options: dict[str, str]) -> str:
        before, _, after = words[0].partition("*")
        found = [f"gs://{BUCKET}/{name}\n" for name in self.objects]
        found = [url for url in found if url.startswith(before) and url.strip().endswith(after)]
        if not found:
            raise Refused("One or more URLs matched no objects.")
        return "".join(found)

    def _rm(self, words: list[str], _options: dict[str, str]) -> str:
        name = words[0].removeprefix(f"gs://{BUCKET}/")
        if self.objects.pop(name, None) is None:
            raise Refused("The following URLs matched no objects or files")
        del self.generations[name]
        self.requests.append(("DELETE", f"storage/{name}", None))
        return ""
