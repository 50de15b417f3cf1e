"""llama.cpp's own server, as docs/planner.md says to run it. Started by `real_model`, in an environment of its own.

    llama_server.py MODEL PORT    as llama-server -m MODEL -c 16384 --jinja -t 1 -np 1 --port PORT

One thread: its threads wait for one another without sleeping, and beside other tests two are ten times slower than one.
"""

import signal
import sys

import xllamacpp

CONTEXT_TOKENS = 16384
SEED = 4  # so that a question gets the same answer in each run


def main(model: str, port: int) -> None:
    parameters = xllamacpp.CommonParams()
    parameters.model.path = model
    parameters.n_ctx = CONTEXT_TOKENS
    parameters.n_parallel = 1
    parameters.use_jinja = True
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = 1
    parameters.port = port
    parameters.sampling.seed = SEED
    server = xllamacpp.Server(parameters)
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    del server


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
