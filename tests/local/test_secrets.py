"""Secrets of a local installation."""

import stat
import threading
from concurrent.futures import ThreadPoolExecutor

from local.secrets import kept_secret


def test_a_secret_is_made_once_whoever_needs_it_first(tmp_path):
    barrier = threading.Barrier(8)

    def ask(_):
        barrier.wait()
        return kept_secret(tmp_path, "key")

    for _ in range(20):
        with ThreadPoolExecutor(8) as threads:
            (secret,) = set(threads.map(ask, range(8)))
        assert kept_secret(tmp_path, "key") == secret
        assert [path.name for path in (tmp_path / "secrets").iterdir()] == ["key"]
        (tmp_path / "secrets" / "key").unlink()


def test_it_is_for_its_owner_alone(tmp_path):
    assert len(kept_secret(tmp_path, "key")) >= 32
    assert stat.S_IMODE((tmp_path / "secrets").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "secrets" / "key").stat().st_mode) == 0o600


def test_each_name_has_its_own(tmp_path):
    assert kept_secret(tmp_path, "one") != kept_secret(tmp_path, "two")
