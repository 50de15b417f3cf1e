CREATE FUNCTION public.source_of(address text) RETURNS bytea
    LANGUAGE plpgsql STRICT
    AS $$
        -- 8 bytes of a digest: enough to tell sources apart, too few to prove an address. It makes the day's key.
        DECLARE
            today_key bytea;
        BEGIN
            SELECT key INTO today_key FROM source_keys WHERE day = current_date;
            IF today_key IS NULL THEN
                INSERT INTO source_keys (day, key)
                VALUES (current_date, uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()))
                ON CONFLICT (day) DO NOTHING;
                SELECT key INTO today_key FROM source_keys WHERE day = current_date;
            END IF;
            RETURN substr(sha256(today_key || convert_to(address, 'UTF8')), 1, 8);
        END $$;
CREATE TABLE public.alembic_version (
    version_num character varying(32) NOT NULL
);
CREATE TABLE public.backup_keys (
    name text NOT NULL,
    digest bytea NOT NULL,
    created_at timestamp with time zone NOT NULL,
    used_at timestamp with time zone
);
CREATE TABLE public.backups (
    id uuid NOT NULL,
    name text NOT NULL,
    sha256 bytea NOT NULL,
    bytes bigint NOT NULL,
    stored_at timestamp with time zone NOT NULL
);
CREATE TABLE public.chat_messages (
    chat_id uuid NOT NULL,
    seq bigint NOT NULL,
    topic text,
    frame text NOT NULL,
    held_until timestamp with time zone
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
CREATE TABLE public.cleanup_runs (
    id bigint NOT NULL,
    started timestamp with time zone NOT NULL,
    finished timestamp with time zone NOT NULL,
    dry_run boolean NOT NULL,
    deleted jsonb NOT NULL,
    remaining boolean NOT NULL
);
ALTER TABLE public.cleanup_runs ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.cleanup_runs_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.metric_buckets (
    start timestamp with time zone NOT NULL,
    instance uuid NOT NULL,
    counts jsonb NOT NULL,
    gauges jsonb NOT NULL
);
CREATE TABLE public.rate_limit_consumptions (
    key text NOT NULL,
    requests timestamp with time zone[] NOT NULL
);
CREATE TABLE public.shared_items (
    id text NOT NULL,
    user_id uuid NOT NULL,
    "timestamp" timestamp with time zone NOT NULL,
    expiry timestamp with time zone NOT NULL,
    encrypted_payload bytea NOT NULL,
    encryption_iv bytea NOT NULL
);
CREATE TABLE public.source_counts (
    source bytea NOT NULL,
    hour timestamp with time zone NOT NULL,
    accounts integer NOT NULL
);
CREATE TABLE public.source_keys (
    day date NOT NULL,
    key bytea NOT NULL
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
    seq bigint,
    source bytea
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
    last_event_at timestamp with time zone DEFAULT '-infinity'::timestamp with time zone NOT NULL,
    quota_day date,
    quota_writes integer DEFAULT 0 NOT NULL,
    quota_bytes bigint DEFAULT 0 NOT NULL
);
ALTER TABLE ONLY public.user_inbox_items ALTER COLUMN seq SET DEFAULT nextval('public.user_inbox_items_seq'::regclass);
INSERT INTO public.alembic_version VALUES ('0013');
INSERT INTO public.backup_keys VALUES ('one', '\x01', '2025-06-01 00:00:00+00', '2025-06-02 00:00:00+00');
INSERT INTO public.backups VALUES ('00000000-0000-4000-8000-000000000005', 'one', '\x02', 3, '2025-06-02 00:00:00+00');
INSERT INTO public.chat_messages OVERRIDING SYSTEM VALUE VALUES ('00000000-0000-4000-8000-000000000003', 1, NULL, 'frame', '2025-06-01 00:00:00+00');
INSERT INTO public.chats VALUES ('00000000-0000-4000-8000-000000000003', 'open', false, '2025-06-01 00:00:00+00', 1, '[]', 0, NULL, '{}', NULL, NULL, false);
INSERT INTO public.cleanup_runs OVERRIDING SYSTEM VALUE VALUES (1, '2025-06-01 00:00:00+00', '2025-06-01 00:00:00+00', false, '{}', false);
INSERT INTO public.metric_buckets VALUES ('2025-06-01 00:00:00+00', '00000000-0000-4000-8000-000000000004', '{"a": 1}', '{}');
INSERT INTO public.rate_limit_consumptions VALUES ('key', '{"2025-06-01 00:00:00+00"}');
INSERT INTO public.shared_items VALUES ('item of one', '00000000-0000-4000-8000-000000000001', '2025-06-01 00:00:00+00', '2999-01-01 00:00:00+00', '\x7061796c6f6164', '\x6976');
INSERT INTO public.shared_items VALUES ('item of two', '00000000-0000-4000-8000-000000000002', '2025-06-01 00:00:00+00', '2999-01-01 00:00:00+00', '\x7061796c6f6164', '\x6976');
INSERT INTO public.source_counts VALUES ('\x5083ec5b3dedd5db', '2025-06-01 00:00:00+00', 3);
INSERT INTO public.source_keys VALUES ('2025-06-01', '\x0102');
INSERT INTO public.source_keys VALUES ('2026-11-28', '\x092ecbf5f76244e4b0cfc83922c373d3ead7e91e8f5f47ea925ef8d7f4be7249');
INSERT INTO public.user_events VALUES ('00000000-0000-4000-8000-000000000001', '6b924608-166f-46f3-a764-86632d31ed26', '2025-06-01 00:00:00+00', '2025-06-01 00:00:00+00', '2999-01-01 00:00:00+00', '\x6576656e74', '\x6976');
INSERT INTO public.user_events VALUES ('00000000-0000-4000-8000-000000000002', 'd8f9a9ee-3356-4b06-acce-89940295a4fc', '2025-06-01 00:00:00+00', '2025-06-01 00:00:00+00', '2999-01-01 00:00:00+00', '\x6576656e74', '\x6976');
INSERT INTO public.user_follow_secrets VALUES ('b0832120-748e-4b69-80c3-2d92b81813e6', '00000000-0000-4000-8000-000000000001', 'secret');
INSERT INTO public.user_follow_secrets VALUES ('8c874188-dc17-4d1c-a4c9-a8c292b0bcb7', '00000000-0000-4000-8000-000000000002', 'secret');
INSERT INTO public.user_inbox_items VALUES ('26fd31fa-170b-4e5d-8bae-81314fc6bad2', '00000000-0000-4000-8000-000000000001', '{"\\x61","\\x62"}', NULL, '\x01');
INSERT INTO public.user_inbox_items VALUES ('6c44d0d5-6701-48cd-84b5-1700322d12e2', '00000000-0000-4000-8000-000000000002', '{"\\x61","\\x62"}', NULL, '\x01');
INSERT INTO public.user_inbox_items VALUES ('76933567-201c-4661-b8c9-5369dca32f78', '00000000-0000-4000-8000-000000000001', '{}', 1, '\x01');
INSERT INTO public.user_inbox_items VALUES ('4d410eef-0159-4037-845c-555b07d30bf4', '00000000-0000-4000-8000-000000000002', '{}', 2, '\x01');
INSERT INTO public.users VALUES ('00000000-0000-4000-8000-000000000001', 'one', 'AB', '2024-02-29 00:00:00+00', '2024-02-29 00:00:00+00', '\x01', NULL, NULL, NULL, '\x', '\x', NULL, '-infinity', NULL, 0, 0);
INSERT INTO public.users VALUES ('00000000-0000-4000-8000-000000000002', 'two', 'CD', '2025-01-01 00:00:00+00', '2024-12-31 00:00:00+00', '\x02', '\x706c616e', '\x70696374757265', '\x6e616d65', '\x6976', '\x6b6579', '\x7665726966696572', '2025-06-01 00:00:00+00', NULL, 0, 0);
SELECT pg_catalog.setval('public.chat_messages_seq_seq', 1, true);
SELECT pg_catalog.setval('public.cleanup_runs_id_seq', 1, true);
SELECT pg_catalog.setval('public.user_inbox_items_seq', 2, true);
ALTER TABLE ONLY public.alembic_version
    ADD CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num);
ALTER TABLE ONLY public.cleanup_runs
    ADD CONSTRAINT cleanup_runs_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.backup_keys
    ADD CONSTRAINT pk_backup_keys PRIMARY KEY (name);
ALTER TABLE ONLY public.backups
    ADD CONSTRAINT pk_backups PRIMARY KEY (id);
ALTER TABLE ONLY public.chat_messages
    ADD CONSTRAINT pk_chat_messages PRIMARY KEY (chat_id, seq);
ALTER TABLE ONLY public.chats
    ADD CONSTRAINT pk_chats PRIMARY KEY (id);
ALTER TABLE ONLY public.metric_buckets
    ADD CONSTRAINT pk_metric_buckets PRIMARY KEY (start, instance);
ALTER TABLE ONLY public.rate_limit_consumptions
    ADD CONSTRAINT pk_rate_limit_consumptions PRIMARY KEY (key);
ALTER TABLE ONLY public.shared_items
    ADD CONSTRAINT pk_shared_items PRIMARY KEY (id);
ALTER TABLE ONLY public.source_counts
    ADD CONSTRAINT pk_source_counts PRIMARY KEY (source, hour);
ALTER TABLE ONLY public.source_keys
    ADD CONSTRAINT pk_source_keys PRIMARY KEY (day);
ALTER TABLE ONLY public.user_events
    ADD CONSTRAINT pk_user_events PRIMARY KEY (user_id, id);
ALTER TABLE ONLY public.user_follow_secrets
    ADD CONSTRAINT pk_user_follow_secrets PRIMARY KEY (id);
ALTER TABLE ONLY public.user_inbox_items
    ADD CONSTRAINT pk_user_inbox_items PRIMARY KEY (id);
ALTER TABLE ONLY public.users
    ADD CONSTRAINT pk_users PRIMARY KEY (id);
ALTER TABLE ONLY public.backups
    ADD CONSTRAINT uq_backups_name_sha256 UNIQUE (name, sha256);
CREATE INDEX ix_chats_seen_at ON public.chats USING btree (seen_at);
CREATE INDEX ix_shared_items_expiry ON public.shared_items USING btree (expiry);
CREATE INDEX ix_shared_items_user_id ON public.shared_items USING btree (user_id);
CREATE INDEX ix_user_events_expiry ON public.user_events USING btree (expiry);
CREATE INDEX ix_user_events_user_id_timestamp ON public.user_events USING btree (user_id, "timestamp");
CREATE INDEX ix_user_follow_secrets_user_id ON public.user_follow_secrets USING btree (user_id);
CREATE INDEX ix_user_follow_secrets_value ON public.user_follow_secrets USING btree (value);
CREATE INDEX ix_user_inbox_items_user_id ON public.user_inbox_items USING btree (user_id);
CREATE INDEX ix_users_unused ON public.users USING btree (created) WHERE (rsa_public_key = '\x'::bytea);
CREATE UNIQUE INDEX ix_users_user_lookup ON public.users USING btree (user_lookup);
ALTER TABLE ONLY public.backups
    ADD CONSTRAINT fk_backups_backup_keys_name FOREIGN KEY (name) REFERENCES public.backup_keys(name) ON DELETE CASCADE;
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
