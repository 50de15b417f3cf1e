CREATE TABLE public.alembic_version (
    version_num character varying(32) NOT NULL
);
CREATE TABLE public.chat_messages (
    chat_id uuid NOT NULL,
    seq bigint NOT NULL,
    topic text,
    frame text NOT NULL
);
ALTER TABLE public.chat_messages ALTER COLUMN seq ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.chat_messages_seq_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.chats (
    id uuid NOT NULL,
    state text DEFAULT 'open'::text NOT NULL,
    is_greeted boolean DEFAULT false NOT NULL,
    seen_at timestamp with time zone NOT NULL,
    poll bigint DEFAULT 1 NOT NULL,
    history json DEFAULT '[]'::json NOT NULL,
    restarts bigint DEFAULT 0 NOT NULL,
    playing json,
    waiting json[] DEFAULT '{}'::json[] NOT NULL,
    player uuid,
    player_seen_at timestamp with time zone,
    is_cancelled boolean DEFAULT false NOT NULL,
    CONSTRAINT ck_chats_state CHECK ((state = ANY (ARRAY['open'::text, 'closing'::text, 'ended'::text])))
);
CREATE TABLE public.shared_items (
    id text NOT NULL,
    user_id uuid NOT NULL,
    "timestamp" timestamp with time zone NOT NULL,
    expiry timestamp with time zone NOT NULL,
    encrypted_payload bytea NOT NULL,
    encryption_iv bytea NOT NULL
);
CREATE TABLE public.user_events (
    user_id uuid NOT NULL,
    id uuid NOT NULL,
    "timestamp" timestamp with time zone NOT NULL,
    last_accessed timestamp with time zone NOT NULL,
    expiry timestamp with time zone NOT NULL,
    encrypted_event bytea NOT NULL,
    encryption_iv bytea NOT NULL
);
CREATE TABLE public.user_follow_secrets (
    id uuid NOT NULL,
    user_id uuid NOT NULL,
    value character varying(40) NOT NULL
);
CREATE TABLE public.user_inbox_items (
    id uuid NOT NULL,
    user_id uuid NOT NULL,
    encrypted_message bytea[] NOT NULL,
    seq bigint
);
CREATE SEQUENCE public.user_inbox_items_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.user_inbox_items_seq OWNED BY public.user_inbox_items.seq;
CREATE TABLE public.users (
    id uuid NOT NULL,
    user_lookup text NOT NULL,
    hashed_password text NOT NULL,
    last_accessed timestamp with time zone NOT NULL,
    created timestamp with time zone NOT NULL,
    salt bytea NOT NULL,
    encrypted_current_plan bytea,
    encrypted_profile_picture bytea,
    encrypted_name bytea,
    encryption_iv bytea NOT NULL,
    rsa_public_key bytea NOT NULL,
    verifier bytea,
    last_event_at timestamp with time zone DEFAULT '-infinity'::timestamp with time zone NOT NULL
);
ALTER TABLE ONLY public.user_inbox_items ALTER COLUMN seq SET DEFAULT nextval('public.user_inbox_items_seq'::regclass);
INSERT INTO public.alembic_version VALUES ('0005');
INSERT INTO public.chat_messages OVERRIDING SYSTEM VALUE VALUES ('00000000-0000-4000-8000-000000000003', 1, NULL, 'frame');
INSERT INTO public.chats VALUES ('00000000-0000-4000-8000-000000000003', 'open', false, '2025-06-01 00:00:00+00', 1, '[]', 0, NULL, '{}', NULL, NULL, false);
INSERT INTO public.shared_items VALUES ('item of one', '00000000-0000-4000-8000-000000000001', '2025-06-01 00:00:00+00', '2999-01-01 00:00:00+00', '\x7061796c6f6164', '\x6976');
INSERT INTO public.shared_items VALUES ('item of two', '00000000-0000-4000-8000-000000000002', '2025-06-01 00:00:00+00', '2999-01-01 00:00:00+00', '\x7061796c6f6164', '\x6976');
INSERT INTO public.user_events VALUES ('00000000-0000-4000-8000-000000000001', '9ad102c1-f59a-4ffb-be3c-b7dc6c06ccbf', '2025-06-01 00:00:00+00', '2025-06-01 00:00:00+00', '2999-01-01 00:00:00+00', '\x6576656e74', '\x6976');
INSERT INTO public.user_events VALUES ('00000000-0000-4000-8000-000000000002', 'd3de1db9-ac49-4f9a-9afe-733413adf1ce', '2025-06-01 00:00:00+00', '2025-06-01 00:00:00+00', '2999-01-01 00:00:00+00', '\x6576656e74', '\x6976');
INSERT INTO public.user_follow_secrets VALUES ('78b3092e-37a0-4013-be9e-836548bcee1e', '00000000-0000-4000-8000-000000000001', 'secret');
INSERT INTO public.user_follow_secrets VALUES ('2e30aff5-f127-4397-b5df-0a1340369801', '00000000-0000-4000-8000-000000000002', 'secret');
INSERT INTO public.user_inbox_items VALUES ('e4f2bcf3-c08a-4ea4-bf67-e2c47aba8a2a', '00000000-0000-4000-8000-000000000001', '{"\\x61","\\x62"}', NULL);
INSERT INTO public.user_inbox_items VALUES ('2bb7d1bc-400b-475e-89b5-619c999878a9', '00000000-0000-4000-8000-000000000002', '{"\\x61","\\x62"}', NULL);
INSERT INTO public.user_inbox_items VALUES ('6ee82238-20d7-404b-bd8f-7d4e4031396c', '00000000-0000-4000-8000-000000000001', '{}', 1);
INSERT INTO public.user_inbox_items VALUES ('06d8f724-f8c1-415b-ac4d-fa5ce028d258', '00000000-0000-4000-8000-000000000002', '{}', 2);
INSERT INTO public.users VALUES ('00000000-0000-4000-8000-000000000001', 'one', 'AB', '2024-02-29 00:00:00+00', '2024-02-29 00:00:00+00', '\x01', NULL, NULL, NULL, '\x', '\x', NULL, '-infinity');
INSERT INTO public.users VALUES ('00000000-0000-4000-8000-000000000002', 'two', 'CD', '2025-01-01 00:00:00+00', '2024-12-31 00:00:00+00', '\x02', '\x706c616e', '\x70696374757265', '\x6e616d65', '\x6976', '\x6b6579', '\x7665726966696572', '2025-06-01 00:00:00+00');
SELECT pg_catalog.setval('public.chat_messages_seq_seq', 1, true);
SELECT pg_catalog.setval('public.user_inbox_items_seq', 2, true);
ALTER TABLE ONLY public.alembic_version
    ADD CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num);
ALTER TABLE ONLY public.chat_messages
    ADD CONSTRAINT pk_chat_messages PRIMARY KEY (chat_id, seq);
ALTER TABLE ONLY public.chats
    ADD CONSTRAINT pk_chats PRIMARY KEY (id);
ALTER TABLE ONLY public.shared_items
    ADD CONSTRAINT pk_shared_items PRIMARY KEY (id);
ALTER TABLE ONLY public.user_events
    ADD CONSTRAINT pk_user_events PRIMARY KEY (user_id, id);
ALTER TABLE ONLY public.user_follow_secrets
    ADD CONSTRAINT pk_user_follow_secrets PRIMARY KEY (id);
ALTER TABLE ONLY public.user_inbox_items
    ADD CONSTRAINT pk_user_inbox_items PRIMARY KEY (id);
ALTER TABLE ONLY public.users
    ADD CONSTRAINT pk_users PRIMARY KEY (id);
CREATE INDEX ix_chats_seen_at ON public.chats USING btree (seen_at);
CREATE INDEX ix_shared_items_user_id ON public.shared_items USING btree (user_id);
CREATE INDEX ix_user_events_expiry ON public.user_events USING btree (expiry);
CREATE INDEX ix_user_events_user_id_timestamp ON public.user_events USING btree (user_id, "timestamp");
CREATE INDEX ix_user_follow_secrets_user_id ON public.user_follow_secrets USING btree (user_id);
CREATE INDEX ix_user_follow_secrets_value ON public.user_follow_secrets USING btree (value);
CREATE INDEX ix_user_inbox_items_user_id ON public.user_inbox_items USING btree (user_id);
CREATE UNIQUE INDEX ix_users_user_lookup ON public.users USING btree (user_lookup);
ALTER TABLE ONLY public.chat_messages
    ADD CONSTRAINT fk_chat_messages_chats_chat_id FOREIGN KEY (chat_id) REFERENCES public.chats(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.shared_items
    ADD CONSTRAINT fk_shared_items_users_user_id FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.user_events
    ADD CONSTRAINT fk_user_events_users_user_id FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.user_follow_secrets
    ADD CONSTRAINT fk_user_follow_secrets_users_user_id FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.user_inbox_items
    ADD CONSTRAINT fk_user_inbox_items_users_user_id FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;
