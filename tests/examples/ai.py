"""Good requests to the ai family."""

from tests.examples.example import Example, Request
from tests.examples.subscriptions import SUBSCRIBED
from tests.plans import plan_v1

PLAN_WISHES = {
    "gender": "Other", "weightRange": "70-80", "age": 30, "daysPerWeek": 3, "goals": ["Strength"],
    "experience": "Beginner",
}  # fmt: skip
SESSION_WISHES = {"areasToWorkout": ["Chest"], "volume": 50, "exerciseToKilograms": {}}
GOOD = {
    "POST /ai/workout": Example(
        lambda _: Request("/ai/workout", {"attributes": PLAN_WISHES}, SUBSCRIBED), model_answer=plan_v1()
    ),
    "POST /ai/session": Example(
        lambda _: Request("/ai/session", {"attributes": SESSION_WISHES}, SUBSCRIBED),
        model_answer=plan_v1()["sessions"][0],
    ),
}
