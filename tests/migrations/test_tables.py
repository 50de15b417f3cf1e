"""What holds for every table, whoever adds it."""


def test_what_belongs_to_a_user_goes_with_the_user(db):
    rows = db.rows(
        """
        SELECT table_name FROM information_schema.columns WHERE table_schema = 'public' AND column_name = 'user_id'
        EXCEPT
        SELECT conrelid::regclass::text FROM pg_constraint
        WHERE contype = 'f' AND confrelid = 'users'::regclass AND confdeltype = 'c'
        """
    )
    assert rows == [], "REFERENCES users (id) ON DELETE CASCADE"


def test_every_moment_has_a_time_zone(db):
    """Else Python would take it for its own."""
    rows = db.rows(
        """
        SELECT table_name, column_name FROM information_schema.columns
        WHERE table_schema = 'public' AND data_type IN ('timestamp without time zone', 'time without time zone')
        """
    )
    assert rows == [], "timestamptz"
