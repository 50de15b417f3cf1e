"""Wire forms of the follow_secret family."""

from shared.http import WireSchema, fields

MAX_SECRET_CHARACTERS = 40


class FollowSecret(WireSchema):
    user_id = fields.Uuid(required=True)
    password = fields.Password(required=True)
    follow_secret = fields.Text(min_length=1, max_length=MAX_SECRET_CHARACTERS, required=True)
