"""Which of ten languages a text is in: by its script, and in Latin letters by the commonest words that others lack."""

import re
from collections import Counter

LEAST_FOUND = 2
_SCRIPTS = {"ja": r"[぀-ヿ]", "ru": r"[Ѐ-ӿ]"}
_WORDS = {
    "de": "der die das und ist nicht mit für auf dein deine du ich eine einen wie zu von pro oder",
    "en": "the and is are with for your you have what how this that of to week or can would",
    "es": "el los las y es con para tu una que qué cómo del semana puedo o está quieres por",
    "fr": "le les et est avec pour ton tu vous votre une que des du semaine je ou quel dans",
    "it": "il gli e è con per tuo tua una che di del settimana posso o sono vuoi questo alla",
    "nl": "de het en is met voor je jouw een dat van wat hoe week ik of niet kan wil per",
    "pl": "i jest z na do się twój plan nie co jak tydzień w czy mogę lub dla oraz dni",
    "pt": "o os as e é com para seu sua você uma que não semana posso ou do da treino em",
}
_STOP_WORDS = {language: frozenset(words.split()) for language, words in _WORDS.items()}


def language(text: str) -> str:
    """Return the language's code, or "" where there is too little to tell by."""
    letters = len(re.findall(r"[^\W\d_]", text))
    for code, script in _SCRIPTS.items():
        if len(re.findall(script, text)) * 5 > letters:  # names of exercises may stay in Latin letters
            return code
    counts = Counter({code: _found(text, words) for code, words in _STOP_WORDS.items()})
    (best, most), (_, next_most) = counts.most_common(2)
    return best if most >= LEAST_FOUND and most > next_most else ""


def _found(text: str, words: frozenset[str]) -> int:
    return sum(word in words for word in re.findall(r"[^\W\d_]+", text.lower()))
