"""The gunicorn worker that serves functions, as it must be where nothing stands between it and the internet.

bytes as they come → incoming (is a request whole?) → workers: a thread → clients: the answer, as fast as it is read
"""

from gunicorn import config

from shared.worker.workers import Worker

__all__ = ["configure"]


def configure() -> None:
    """Have gunicorn use this worker, and believe no header about where a request was meant to go.

    functions-framework chooses gunicorn's settings and has no options for these. Functions are loaded before their
    server is configured, so what they import may change what is configured by default.
    """
    config.WorkerClass.default = Worker
    config.ForwarderHeaders.default = ""  # SCRIPT_NAME and PATH_INFO would move any request to a 404
    config.ForwardedAllowIPS.default = ""
    config.ControlSocketDisable.default = True  # below HOME, where a service may not write
