"""The model's client against a scripted server over real HTTP: pieces, faults, time-outs, retries, ending a request."""

import json
import socket
import ssl
import subprocess
import sys
import threading

import pytest

from client.model_server import ModelServer
from client.scripted_answers import CallTool, Say
from shared.ai import streams
from shared.ai.breaker import Breaker, BreakerState, Counts
from shared.ai.chunks import MAX_OUTPUT_CHARACTERS
from shared.ai.model import Model
from shared.ai.questions import Question
from shared.ai.streams import CallPart, End, Line, Refusal, Words
from shared.errors import ContextFull, InvalidSetting, ModelRefused, ModelUnavailable
from shared.settings.planner import OPENAI_URL, ModelSettings
from tests.certificates import self_signed
from tests.scripted_faults import Disconnect, Finish, HttpError, Pause, Raw, Redirect, Refuse, Stall
from tests.waiting import WAIT_SECONDS

QUESTION = Question([{"role": "user", "content": "a plan, please"}])


@pytest.fixture
def server():
    with ModelServer() as server:
        yield server


@pytest.fixture
def new_model(server):
    """Return a function that makes a client of the scripted server."""

    def create(timeout_seconds=WAIT_SECONDS, breaker=None):
        return Model(ModelSettings(server.base_url, "scripted", timeout_seconds), breaker)

    return create


def answer(model, question=QUESTION):
    """Everything that comes, without signs of life."""
    with model.ask(question) as stream:
        return [piece for piece in stream.rest() if piece != Words("")]


def events(*chunks):
    return Raw(b"".join(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks))


def content(text):
    return {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]}


def test_text_comes_in_pieces_and_ends(server, new_model):
    server.script(Say("Bench, then rows.", piece_characters=3))
    *words, end = answer(new_model())
    assert len(words) == 6
    assert "".join(piece.text for piece in words) == "Bench, then rows."
    assert end == End("stop")


def test_a_tool_call_comes_in_tiny_fragments(server, new_model):
    arguments = json.dumps({"name": "Stärke", "sessions": [1, 2, 3]}, ensure_ascii=False)
    server.script(Say("Here."), CallTool(arguments, fragment_characters=1))
    pieces = answer(new_model())
    parts = [piece for piece in pieces if isinstance(piece, CallPart)]
    assert (parts[0].call_id, parts[0].name) == ("call_0", "create_workout_plan")
    assert "".join(part.arguments for part in parts) == arguments
    assert {part.index for part in parts} == {0}
    assert pieces[-1] == End("tool_calls")


def test_what_is_sent(server, new_model, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "first")
    model = new_model()
    tool = {"type": "function", "function": {"name": "x", "parameters": {}}}
    server.script(Say("One."))
    server.script(Say("Two."))
    answer(model, Question(QUESTION.messages, tools=[tool]))
    monkeypatch.setenv("OPENAI_API_KEY", "rotated")
    answer(model, Question(QUESTION.messages, response_format={"type": "json_object"}))
    first, second = server.requests
    assert first.path == "/v1/chat/completions"
    assert first.body == {
        "model": "scripted", "messages": QUESTION.messages, "stream": True, "max_completion_tokens": 16_000,
        "stream_options": {"include_usage": True},
        "tools": [tool], "parallel_tool_calls": False,
    }  # fmt: skip
    assert second.body["response_format"] == {"type": "json_object"}
    assert [request.headers["authorization"] for request in server.requests] == ["Bearer first", "Bearer rotated"]


def test_a_refusal_is_told_apart_from_words(server, new_model):
    server.script(Refuse("I won't."))
    assert answer(new_model()) == [Refusal("I won't."), End("stop")]


def test_halves_of_a_character_are_put_together(server, new_model):
    server.script(events(content("strong \ud83d"), content("\udcaa!"), content("\udcaa")), Say("."))
    *words, _ = answer(new_model())
    assert "".join(piece.text for piece in words) == "strong 💪!\ufffd."


def test_an_endless_answer_is_cut(server, new_model):
    server.script(Say("x" * (MAX_OUTPUT_CHARACTERS + 50_000), piece_characters=10_000))
    assert answer(new_model())[-1] == End("length")
    assert server.requests[0].ended.wait(WAIT_SECONDS)


@pytest.mark.parametrize("status", [401, 403, 404, 418])
def test_a_permanent_fault_is_not_asked_again(server, new_model, status):
    server.script(HttpError(status))
    model = new_model()
    with pytest.raises(ModelUnavailable, match=str(status)):
        answer(model)
    assert len(server.requests) == 1
    assert model.breaker.counts.failed == 1


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_refusal_of_the_question_is_no_failure_of_the_model(server, new_model, status):
    server.script(HttpError(status))
    model = new_model()
    with pytest.raises(ModelRefused):
        answer(model)
    assert model.breaker.counts == Counts(succeeded=1)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(server, new_model, monkeypatch, status):
    """Whoever can answer for the endpoint gets no question sent elsewhere, and no key."""
    monkeypatch.setenv("OPENAI_API_KEY", "a key")
    with ModelServer() as other:
        server.script(Redirect(status, f"{other.base_url}/chat/completions"))
        with pytest.raises(ModelUnavailable, match=str(status)):
            answer(new_model())
        assert other.requests == []
    assert len(server.requests) == 1


@pytest.mark.parametrize("code", ["context_length_exceeded", "exceed_context_size_error"])
def test_a_context_that_is_too_long_is_no_failure_of_the_model_whatever_its_status(server, new_model, code):
    server.script(HttpError(500, code=code))
    model = new_model()
    with pytest.raises(ContextFull):
        answer(model)
    assert len(server.requests) == 1
    assert model.breaker.counts == Counts(succeeded=1)


@pytest.mark.parametrize("code", [400, "400", 402, 413, 418, 422, "content_filter", None])
@pytest.mark.parametrize("before", [(), (Say("Let me think"),)], ids=["first event", "later event"])
def test_a_refusal_inside_the_stream_is_no_failure_of_the_model(server, new_model, before, code):
    """As SGLang and llama.cpp say that a conversation has become too long for the model."""
    server.script(*before, events({"error": {"message": "secret words", "type": "BadRequestError", "code": code}}))
    model = new_model()
    with pytest.raises(ModelRefused, match="an error of code 4"):
        answer(model)
    assert model.breaker.counts == Counts(succeeded=1)


@pytest.mark.parametrize("code", [401, 403, 404, 409, 429])
def test_no_error_of_4xx_inside_the_stream_counts_as_a_failure_of_the_model(server, new_model, code):
    server.script(Say("Let me think"), events({"error": {"message": "secret words", "code": code}}))
    model = new_model()
    with pytest.raises(ModelUnavailable, match=str(code)):
        answer(model)
    assert model.breaker.counts == Counts(succeeded=1)


@pytest.mark.parametrize(
    "fault",
    [
        HttpError(429, retry_after="1"), HttpError(500), HttpError(503), HttpError(520), HttpError(529), Disconnect(),
        events({"error": {"message": "The model is overloaded.", "code": 503, "status": "UNAVAILABLE"}}),
        events({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}),
        Raw(b': OPENROUTER PROCESSING\n\ndata: {"error": {"code": 502}, "choices": []}\n\n'),
        events({"error": "an error was encountered while running the model: unexpected EOF"}),
        events({"error": {"message": "slow down", "type": "rate_limit_error", "code": None}}),
    ],
)  # fmt: skip
def test_a_passing_fault_is_asked_again(server, new_model, fault):
    server.script(fault)
    server.script(Say("Here."))
    assert answer(new_model())[-1] == End("stop")
    assert len(server.requests) == 2


def test_an_error_after_the_first_words_is_not_asked_again(server, new_model):
    server.script(Say("Let"), events({"error": {"message": "Overloaded", "code": 503}}))
    with pytest.raises(ModelUnavailable, match="503"):
        answer(new_model())
    assert len(server.requests) == 1


def test_retries_are_bounded_and_count_as_one_failure(server, new_model):
    for _ in range(3):
        server.script(HttpError(500))
    model = new_model()
    with pytest.raises(ModelUnavailable, match="status 500"):
        answer(model)
    assert len(server.requests) == 3
    assert model.breaker.counts == Counts(failed=1)


@pytest.mark.parametrize("fault", [HttpError(429, retry_after="60"), HttpError(429, code="insufficient_quota")])
def test_a_fault_that_will_last_is_not_asked_again(server, new_model, fault):
    server.script(fault)
    with pytest.raises(ModelUnavailable, match="429"):
        answer(new_model())
    assert len(server.requests) == 1


def test_an_answer_that_began_is_never_asked_for_again(server, new_model):
    server.script(Say("Here is"), Disconnect())
    model = new_model()
    with model.ask(QUESTION) as stream, pytest.raises(ModelUnavailable):
        list(stream.rest())
    assert len(server.requests) == 1
    assert model.breaker.counts == Counts(failed=1)


@pytest.mark.parametrize(
    "garbage",
    [
        b"data: nothing like JSON\n\n",
        b"data: 5\n\n",
        b'data: {"choices": 7}\n\n',
        b'data: {"choices": [{"delta": null}]}\n\n',
        b'data: {"error": {"message": "secret words", "code": 500}}\n\n',
        b"\xff\xfe\n\n",
        b"data: [DONE]\n\n",
        b"<html>a proxy says hello</html>",
    ],
)
def test_garbage_is_a_fault_whose_message_repeats_nothing(server, new_model, garbage, caplog):
    for _ in range(3):  # an error of 5xx is asked again
        server.script(Raw(garbage), Disconnect())
    with pytest.raises(ModelUnavailable) as raised:
        answer(new_model())
    assert "secret" not in str(raised.value)
    assert "secret" not in caplog.text
    assert raised.value.__cause__ is None


def test_no_server_is_a_fault(new_model):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}/v1"
    with pytest.raises(ModelUnavailable):
        answer(Model(ModelSettings(url, "scripted", WAIT_SECONDS)))


@pytest.mark.parametrize("before", [(), (Say("Let me think"),)], ids=["before the first byte", "between pieces"])
def test_silence_has_an_end_and_ends_the_request(server, new_model, before):
    server.script(*before, Stall())
    model = new_model(timeout_seconds=0.3)
    with pytest.raises(ModelUnavailable):
        answer(model)
    assert server.requests[0].disconnected.wait(WAIT_SECONDS)
    assert len(server.requests) == 1
    assert model.breaker.counts == Counts(failed=1)


@pytest.mark.parametrize("before", [(), (Say("One word"),)], ids=["before the first byte", "between pieces"])
def test_comments_are_signs_of_life(server, new_model, before):
    """Gateways send them while a model that answers at once makes its answer."""
    comments = [step for _ in range(20) for step in (Raw(b": ping\n\n"), Pause(0.05))]
    server.script(*before, *comments, Say("Done."))
    assert answer(new_model(timeout_seconds=0.5))[-1] == End("stop")
    assert len(server.requests) == 1


def test_a_call_that_comes_whole_after_a_long_silence_is_one(server, new_model):
    """Ollama says a word, and is quiet until the call is whole."""
    server.script(Say("Here."), Pause(1.0), CallTool({"name": "x"}))
    assert answer(new_model(timeout_seconds=WAIT_SECONDS))[-1] == End("tool_calls")


def test_a_whole_answer_has_its_time(server, new_model, monkeypatch):
    """However steadily its pieces come."""
    monkeypatch.setattr(streams, "WHOLE_ANSWER_SECONDS", 0.5)
    monkeypatch.setattr(streams, "SILENCES_IN_ANSWER", 0)
    server.script(Say("x" * 250, piece_characters=1, pause_seconds=0.02))
    model = new_model()
    with pytest.raises(ModelUnavailable, match="no answer in time"):
        answer(model)
    assert server.requests[0].disconnected.wait(WAIT_SECONDS)
    assert model.breaker.counts.failed == 1


def test_without_a_thread_the_probe_is_given_back(server, new_model, monkeypatch):
    breaker = Breaker(failures_to_open=1, pause_seconds=0)
    failing = breaker.admit()
    assert failing is not None
    breaker.failed(failing)
    model = new_model(breaker=breaker)

    def no_thread(_self):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as context:
        context.setattr(threading.Thread, "start", no_thread)
        with pytest.raises(ModelUnavailable, match="no thread"):
            model.ask(QUESTION)
    server.script(Say("Hi"))
    assert answer(model)[-1] == End("stop")


@pytest.mark.parametrize("before", [(), (Say("Let me think"),)], ids=["before the first byte", "between pieces"])
def test_closing_ends_the_request_while_its_reader_waits_in_the_socket(server, new_model, before):
    server.script(*before, Stall())
    model = new_model(timeout_seconds=2 * WAIT_SECONDS)
    with model.ask(QUESTION) as stream:
        request = server.wait_for_request()
        while stream.next(0.2) is not None:
            pass
    assert request.disconnected.wait(WAIT_SECONDS)
    assert model.breaker.counts == Counts()


def test_closing_ends_the_pause_before_a_retry(server, new_model):
    server.script(HttpError(429, retry_after="5"))
    with new_model(timeout_seconds=60).ask(QUESTION):
        assert server.wait_for_request().ended.wait(WAIT_SECONDS)
        reader = next(thread for thread in threading.enumerate() if thread.name == "model-answer")
    reader.join(WAIT_SECONDS)
    assert not reader.is_alive()
    assert len(server.requests) == 1


def test_an_answer_that_is_over_is_read_to_the_end_of_its_response(server, new_model):
    server.script(Say("Done."))
    answer(new_model())
    assert server.requests[0].ended.wait(WAIT_SECONDS)
    assert not server.requests[0].disconnected.is_set()


def test_a_line_wakes_a_reader_that_waits_in_tls(tmp_path):
    certificate, key = self_signed(tmp_path)
    inside = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    inside.load_cert_chain(certificate, key)
    outside = ssl.create_default_context(cafile=str(certificate))
    ours, theirs = socket.socketpair()
    accepted = []
    accepting = threading.Thread(target=lambda: accepted.append(inside.wrap_socket(theirs, server_side=True)))
    accepting.start()
    line = Line()
    with outside.wrap_socket(ours, server_hostname="localhost") as secured:
        accepting.join()
        line.carry_over(secured)
        ends = []
        reading = threading.Thread(target=lambda: ends.append(_read(secured)))
        reading.start()
        line.cut()
        reading.join(WAIT_SECONDS)
        assert ends == [b""]
    accepted[0].close()


def _read(secured):
    try:
        return secured.recv(1)
    except OSError:  # an end without TLS's own goodbye
        return b""


def test_a_line_that_was_cut_before_it_was_opened_is_cut():
    ours, theirs = socket.socketpair()
    line = Line()
    line.cut()
    line.carry_over(ours)
    assert theirs.recv(1) == b""
    ours.close()
    theirs.close()


def test_the_breaker_opens_after_failures_and_probes_after_a_pause(server, new_model):
    now = [0.0]
    model = new_model(breaker=Breaker(failures_to_open=2, pause_seconds=30, clock=lambda: now[0]))
    for _ in range(2):
        server.script(HttpError(401))
        with pytest.raises(ModelUnavailable):
            answer(model)
    with pytest.raises(ModelUnavailable, match="left alone"):
        answer(model)
    assert len(server.requests) == 2
    now[0] = 30.0
    server.script(Say("Back."))
    assert answer(model)[-1] == End("stop")
    assert model.breaker.state is BreakerState.CLOSED
    assert model.breaker.counts == Counts(succeeded=1, failed=2, refused=1, opened=1)


def test_a_cut_answer_is_no_failure(server, new_model):
    server.script(Say("Too lo"), Finish("length"))
    model = new_model()
    assert answer(model)[-1] == End("length")
    assert model.breaker.counts == Counts(succeeded=1)


def test_openai_itself_needs_a_key(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(InvalidSetting, match="OPENAI_API_KEY"):
        Model(ModelSettings(OPENAI_URL, "gpt-4.1", WAIT_SECONDS)).ask(QUESTION)


def test_the_package_is_imported_only_when_the_model_is_asked():
    program = "import sys, functions.gateway.main; assert not {'openai', 'httpx2'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=WAIT_SECONDS)
