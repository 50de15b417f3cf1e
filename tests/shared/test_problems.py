"""Every outcome that ends a request has its answer."""

import inspect

from shared import errors
from shared.http.problems import PROBLEMS


def test_every_outcome_has_a_status_and_a_type_of_its_own():
    outcomes = {kind for _, kind in inspect.getmembers(errors, inspect.isclass) if kind.__module__ == errors.__name__}
    assert set(PROBLEMS) == outcomes - {errors.ServiceError}
    slugs = [slug for _, slug, _, _ in PROBLEMS.values()]
    assert len(set(slugs)) == len(slugs)
