"""Add the planner's conversations over long polling, each of whose requests any instance may get.

A conversation lasts as long as its connection. `player` is the turn under way, which one instance plays; calls that
came meanwhile wait in `waiting`.
"""

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE chats (
            id uuid NOT NULL,
            state text NOT NULL DEFAULT 'open',
            is_greeted boolean NOT NULL DEFAULT false,
            seen_at timestamptz NOT NULL,
            poll bigint NOT NULL DEFAULT 1,
            history json NOT NULL DEFAULT '[]',
            restarts bigint NOT NULL DEFAULT 0,
            playing json,
            waiting json[] NOT NULL DEFAULT '{}',
            player uuid,
            player_seen_at timestamptz,
            is_cancelled boolean NOT NULL DEFAULT false,
            CONSTRAINT pk_chats PRIMARY KEY (id),
            CONSTRAINT ck_chats_state CHECK (state IN ('open', 'closing', 'ended'))
        )
        """
    )
    # POST /cleanup: the chats that nobody polls any more, oldest first
    op.execute("CREATE INDEX ix_chats_seen_at ON chats (seen_at)")
    op.execute(
        """
        CREATE TABLE chat_messages (
            chat_id uuid NOT NULL,
            seq bigint GENERATED ALWAYS AS IDENTITY,
            topic text,
            frame text NOT NULL,
            CONSTRAINT pk_chat_messages PRIMARY KEY (chat_id, seq),
            CONSTRAINT fk_chat_messages_chats_chat_id FOREIGN KEY (chat_id) REFERENCES chats (id) ON DELETE CASCADE
        )
        """
    )


def downgrade() -> None:
    op.execute("DROP TABLE chat_messages, chats")
