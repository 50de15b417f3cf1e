"""The URL map of a plan: which function answers which path."""

from dataclasses import dataclass
from functools import cached_property
from http import HTTPStatus
from typing import Any

from rehearsal.terraform import Plan

NOT_OF_ROUTING = frozenset({"name", "project", "deletion_policy"})


class UnknownRule(Exception):
    """The URL map holds what is not understood here; the message names it."""


@dataclass(frozen=True, slots=True)
class Match:
    """What a path must be like: lower case where case is ignored."""

    text: str
    is_prefix: bool
    ignore_case: bool

    def covers(self, path: str) -> bool:
        path = path.lower() if self.ignore_case else path
        return path.startswith(self.text) if self.is_prefix else path == self.text


@dataclass(frozen=True, slots=True)
class Matcher:
    """The rules of some hosts, in the order in which they are tried, each with its function."""

    rules: list[tuple[list[Match], str]]
    otherwise: int  # the status of everything else


class UrlMap:
    """Which function answers a request, from a plan's URL map, backend services and network endpoint groups."""

    def __init__(self, plan: Plan) -> None:
        """Read it. Raises UnknownRule."""
        document = plan.one("google_compute_url_map")
        _refuse_others(document, "host_rule", "path_matcher", "default_service", "default_route_action")
        self._function_of = _functions_behind(plan)
        self._matcher_of = {host: rule["path_matcher"] for rule in document["host_rule"] for host in rule["hosts"]}
        self._matchers = {matcher["name"]: self._matcher(matcher) for matcher in document["path_matcher"]}
        self._otherwise = _abort_status(document)

    def find(self, host: str, path: str) -> str | int:
        """Return the function that answers, or the status that a request is aborted with."""
        matcher = self._matchers.get(self._matcher_of.get(host.lower(), ""))
        if matcher is None:
            return self._otherwise
        for matches, function in matcher.rules:
            if any(match.covers(path) for match in matches):
                return function
        return matcher.otherwise

    @cached_property
    def functions(self) -> set[str]:
        """Every function that some path leads to."""
        return {function for matcher in self._matchers.values() for _, function in matcher.rules}

    def _matcher(self, document: dict[str, Any]) -> Matcher:
        _refuse_others(document, "route_rules", "default_service", "default_route_action")
        rules = sorted(document["route_rules"], key=lambda rule: int(rule["priority"]))
        for rule in rules:
            _refuse_others(rule, "priority", "match_rules", "service")
        return Matcher(
            [(list(map(_match, rule["match_rules"])), self._function_of[_name(rule["service"])]) for rule in rules],
            _abort_status(document),
        )


def _match(rule: dict[str, Any]) -> Match:
    _refuse_others(rule, "full_path_match", "prefix_match", "ignore_case")
    text, ignore_case = rule["full_path_match"] or rule["prefix_match"], bool(rule["ignore_case"])
    return Match(text.lower() if ignore_case else text, rule["full_path_match"] is None, ignore_case)


def _functions_behind(plan: Plan) -> dict[str, str]:
    """Return the function behind each backend service. Raises UnknownRule if there is no such function."""
    groups = {
        group["name"]: group["cloud_run"][0]["service"]
        for group in plan.all("google_compute_region_network_endpoint_group").values()
    }
    made = {
        function["name"]
        for kind in ("google_cloudfunctions2_function", "google_cloud_run_v2_service")
        for function in plan.all(kind).values()
    }
    found = {
        service["name"]: groups[_name(service["backend"][0]["group"])]
        for service in plan.all("google_compute_backend_service").values()
        if service["backend"]
    }
    missing = set(found.values()) - made
    if missing:  # the cloud would answer 404 there
        raise UnknownRule(f"the load balancer leads to functions that the plan does not make: {sorted(missing)}")
    return found


def _abort_status(document: dict[str, Any]) -> int:
    """Return what all requests are aborted with that no rule covers; 503 where nothing aborts, as nothing answers."""
    action = (document["default_route_action"] or [{}])[0]
    fault = (action.get("fault_injection_policy") or [{}])[0]
    abort = (fault.get("abort") or [{}])[0]
    return int(abort["http_status"]) if abort.get("percentage") == 100 else HTTPStatus.SERVICE_UNAVAILABLE


def _refuse_others(document: dict[str, Any], *known: str) -> None:
    others = {name for name, value in document.items() if value and name not in {*NOT_OF_ROUTING, *known}}
    if others:
        raise UnknownRule(f"the URL map holds what is not understood here: {', '.join(sorted(others))}")


def _name(resource: str) -> str:
    return resource.rpartition("/")[2]
