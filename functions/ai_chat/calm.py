"""What the user sees of an answer's text: words. No JSON, no thoughts of the model, no fence, no call as text."""

import re

from functions.ai_chat import plans
from shared.ai import lenient

_CALL = re.compile(
    rf"<tool_call>.*?(?:</tool_call>|\Z)|<function=.*?(?:</function>|\Z)|\[TOOL_CALLS\].*\Z|<\|python_tag\|>.*\Z"
    rf"|(?:functions\.)?{plans.TOOL_NAME}\s{{0,9}}(?:\(.*\Z|(?=[{{\[]))",
    re.DOTALL,
)
_MARK = re.compile(r"```[\w-]*[ \t]*\n?|</?tool_call>|<\|[^|>\n]{1,40}\|>")
_OBJECT = re.compile(r'(?:\[\s{0,9})?\{\s*(?:"|\Z)')
# of what may become one of these: a beginning at the text's end
_BEGINNING = re.compile(r"(?:</?[a-z_|=]{0,16}|\[[A-Z_]{0,11}|`{1,3}[\w-]{0,12}|\{\s{0,9})\Z")
_SIGNS = ("<", "{", "`", "[", plans.TOOL_NAME)  # without any of these nothing is searched: 20 times as fast
_LEAST_OF_NAME = 7


def calm(text: str, *, ended: bool) -> str:
    """Return the words of a text. What may turn out to be something else is held back until the text has `ended`."""
    if any(sign in text for sign in _SIGNS):
        text = _without_objects(_MARK.sub("", _CALL.sub("", lenient.without_thoughts(text))))
    return text if ended else _without_beginning(text).rstrip()


def looks_like_call(text: str) -> bool:
    """Tell whether a text holds a plan, or a call that should make one."""
    text = lenient.without_thoughts(text)
    return _OBJECT.search(text) is not None or _CALL.search(text) is not None


def _without_objects(text: str) -> str:
    """Cut out the first JSON objects, and whatever comes after one that is not whole."""
    for _ in range(lenient.MOST_TRIES):
        found = _OBJECT.search(text)
        if found is None:
            return text
        start = text.index("{", found.start())
        place = next(lenient.places_of_objects(text[start:]), None)
        rest = text[start + place[1] :].removeprefix("]") if place is not None and place[0] == 0 else ""
        text = text[: found.start()] + rest
    return text


def _without_beginning(text: str) -> str:
    text = _BEGINNING.sub("", text)
    line = text.rpartition("\n")[2]
    last_word = line.rpartition(" ")[2]
    is_name = plans.TOOL_NAME.startswith(last_word) and (last_word == line or len(last_word) >= _LEAST_OF_NAME)
    return text.removesuffix(last_word) if is_name else text
