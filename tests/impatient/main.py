"""A function that answers with as many bytes as it is asked for, or with how many it got, or breaks off, in an
impatient server.
"""

import functions_framework
from flask import Request, Response

from shared.http.front import become_the_way_in
from shared.worker.clients import Patience
from shared.worker.workers import Worker

Worker.patience = Patience(head=1.0, silence=1.0, grace=1.0, least_bytes_per_second=1000, stopping=1.0)
Worker.most_held_bytes = 8 * 1024 * 1024
become_the_way_in()


@functions_framework.http
def answer(request: Request) -> Response:
    if "bytes" in request.args:
        return Response(bytes(int(request.args["bytes"])))
    if "breaks" in request.args:
        return Response(b"%d" % (1 // left) for left in (1, 0))
    try:
        return Response(str(len(request.get_data())))
    except OSError:
        return Response("ended early")
