"""`make eval`: what is scored, and how, of answers that are good, bad or from the canned coach."""

import json
import subprocess
import sys

import pytest

from evaluation.asking import Played
from evaluation.cases import CASES, KG, LB, Probe, pasted
from evaluation.languages import language
from evaluation.scores import SCORES, score
from functions.ai_chat import plans, turns
from tests.plans import plan, weighted

SENTENCES = {
    "de": "Hier ist dein Plan für drei Tage; pro Woche eine Einheit mit schweren Kniebeugen.",
    "en": "Here is your plan for three days a week, and you can add weight when all sets went well.",
    "es": "Aquí está el plan de tres días por semana, con las series que quieres y para tu nivel.",
    "fr": "Voici le plan de trois jours par semaine, avec les exercices pour ton niveau.",
    "it": "Ecco il piano di tre giorni alla settimana, con gli esercizi che vuoi per il tuo livello.",
    "ja": "週3日のプランです。Squat は重くなったら増やしてください。",
    "nl": "Hier is het schema van drie dagen per week, met oefeningen voor jouw niveau en een rustdag.",
    "pl": "Oto plan na trzy dni w tygodniu, dla twój poziom nie jest to zbyt trudny oraz do zrobienia.",
    "pt": "Aqui está o plano de três dias por semana, com os exercícios para o seu nível e uma pausa.",
    "ru": "Вот план на три дня в неделю.",
}


def played(text="", *names, before=None, description="", notes="", sessions=1):
    made = None
    if names:
        exercises = [weighted(name=name, notes=notes) for name in names]
        wanted = plan(*exercises, description=description)
        wanted["blueprint"]["sessions"] = wanted["blueprint"]["sessions"][:1] * sessions
        made = plans.message(plans.finished(json.dumps(wanted), 2, ""), 2)
    return Played(text, made, before, 0.1, 1.0, 100)


@pytest.mark.parametrize("code", SENTENCES)
def test_ten_languages_are_told_apart(code):
    assert language(SENTENCES[code]) == code


@pytest.mark.parametrize("text", ["", "Bench press 3x8", "100 kg!"])
def test_too_little_is_no_language(text):
    assert language(text) == ""


def test_there_are_thirty_of_the_kinds_that_were_promised():
    assert len(CASES) == len({case.name for case in CASES}) == 30
    assert {case.language for case in CASES} == set(SENTENCES)
    assert {case.unit for case in CASES} == {KG, LB}
    assert [len(case.names) for case in CASES if case.names] == [3, 12, 30, 60]
    assert len(set(pasted(60))) == 60


@pytest.mark.parametrize(
    ("name", "case", "good", "bad"),
    [
        ("valid", Probe("", ()), played("Hello"), played(turns.UNAVAILABLE)),
        ("valid", Probe("", ()), played("", "Squat"), played(" ")),
        ("plan or none", Probe("", ()), played("", "Squat"), played("Hello")),
        ("plan or none", Probe("", (), wants="words"), played("See a doctor"), played("", "Squat")),
        ("language", Probe("", (), "de-DE"), played(SENTENCES["de"]), played(SENTENCES["en"])),
        ("language", Probe("", (), "de-DE"), played("", "Squat", description=SENTENCES["de"]), played(SENTENCES["pl"])),
        ("unit", Probe("", ()), played("Add 2.5 kg."), played("Add 5 lb.")),
        ("unit", Probe("", (), unit=LB), played("Add 5 pounds."), played("", "Squat", notes="Start with 100kg")),
        ("names", Probe("", (), names=("BB Bench",)), played("", "Row", "BB Bench"), played("", "Barbell bench")),
        ("days", Probe("", (), days=2), played("", "Squat", sessions=2), played("", "Squat", sessions=3)),
        ("links", Probe("", ("see https://a.example/x",)), played("https://a.example/x/"), played("www.b.example")),
        ("wish", Probe("", (), lacks=("squat",)), played("", "Leg press"), played("", "Front Squat")),
        ("wish", Probe("", (), lacks=("def ",)), played("I only train."), played("def sort():")),
        (
            "wish",
            Probe("", (), is_shorter=True),
            played("", "Row", before=played("", "Row", "Squat").plan),
            played("", "Row", before=played("", "Row").plan),
        ),
    ],
)
def test_a_score_tells_good_from_bad(name, case, good, bad):
    assert score(case, good)[name] is True
    assert score(case, bad)[name] is False


def test_what_a_case_does_not_ask_for_is_not_scored():
    told = score(Probe("", ()), played("OK"))
    assert {name for name, value in told.items() if value is None} == {"language", "names", "days", "wish"}
    assert set(told) == set(SCORES)


def run(*options):
    return subprocess.run(
        [sys.executable, "-m", "evaluation", "--fake", *options], capture_output=True, text=True, check=False
    )


@pytest.mark.slow
def test_the_canned_coach_gets_a_table():
    told = run("--only", "days", "--only", "child", "--only", "de-DE")
    assert told.returncode == 0, told.stderr
    rows = {line.split("│")[1].strip(): line for line in told.stdout.splitlines() if line.startswith("│")}
    assert list(rows) == ["plan, de-DE", "1 days", "2 days", "5 days", "a child", "good, of those asked"]
    assert rows["plan, de-DE"].count("NO") == 1, "it speaks English"
    assert rows["a child"].count("NO") == 1, "it refuses nobody"
    assert rows["5 days"].count("NO") == 0
    assert "5/5" in rows["good, of those asked"]
    assert "3/4" not in rows["good, of those asked"]


def test_asking_nothing_is_told():
    assert run("--only", "no such request").returncode == 2
