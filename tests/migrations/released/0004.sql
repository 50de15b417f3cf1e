CREATE TABLE public.alembic_version (
    version_num character varying(32) NOT NULL
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
INSERT INTO public.alembic_version VALUES ('0004');
INSERT INTO public.shared_items VALUES ('item of one', '00000000-0000-4000-8000-000000000001', '2025-06-01 00:00:00+00', '2999-01-01 00:00:00+00', '\x7061796c6f6164', '\x6976');
INSERT INTO public.shared_items VALUES ('item of two', '00000000-0000-4000-8000-000000000002', '2025-06-01 00:00:00+00', '2999-01-01 00:00:00+00', '\x7061796c6f6164', '\x6976');
INSERT INTO public.user_events VALUES ('00000000-0000-4000-8000-000000000001', '8e6263ec-05bf-43cc-b02c-457fdbaab0b0', '2025-06-01 00:00:00+00', '2025-06-01 00:00:00+00', '2999-01-01 00:00:00+00', '\x6576656e74', '\x6976');
INSERT INTO public.user_events VALUES ('00000000-0000-4000-8000-000000000002', '9165c7b5-bd4c-4245-a7d7-1da8a3295dca', '2025-06-01 00:00:00+00', '2025-06-01 00:00:00+00', '2999-01-01 00:00:00+00', '\x6576656e74', '\x6976');
INSERT INTO public.user_follow_secrets VALUES ('fc1ae6f0-d5e1-4dbc-beba-321be6962638', '00000000-0000-4000-8000-000000000001', 'secret');
INSERT INTO public.user_follow_secrets VALUES ('dd22120c-19d6-40f0-abc2-d5c5db17c94e', '00000000-0000-4000-8000-000000000002', 'secret');
INSERT INTO public.user_inbox_items VALUES ('6cad313f-cbf2-4684-92dd-c90d3ffe5a86', '00000000-0000-4000-8000-000000000001', '{"\\x61","\\x62"}', NULL);
INSERT INTO public.user_inbox_items VALUES ('999c4a6e-02a4-4730-b644-62d6cba6226b', '00000000-0000-4000-8000-000000000002', '{"\\x61","\\x62"}', NULL);
INSERT INTO public.user_inbox_items VALUES ('98978389-c573-4bcd-87a7-d50f11ccac73', '00000000-0000-4000-8000-000000000001', '{}', 1);
INSERT INTO public.user_inbox_items VALUES ('63f68a86-ea89-40ba-82c8-4f19e1e2ba1b', '00000000-0000-4000-8000-000000000002', '{}', 2);
INSERT INTO public.users VALUES ('00000000-0000-4000-8000-000000000001', 'one', 'AB', '2024-02-29 00:00:00+00', '2024-02-29 00:00:00+00', '\x01', NULL, NULL, NULL, '\x', '\x', NULL, '-infinity');
INSERT INTO public.users VALUES ('00000000-0000-4000-8000-000000000002', 'two', 'CD', '2025-01-01 00:00:00+00', '2024-12-31 00:00:00+00', '\x02', '\x706c616e', '\x70696374757265', '\x6e616d65', '\x6976', '\x6b6579', '\x7665726966696572', '2025-06-01 00:00:00+00');
SELECT pg_catalog.setval('public.user_inbox_items_seq', 2, true);
ALTER TABLE ONLY public.alembic_version
    ADD CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num);
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
CREATE INDEX ix_shared_items_user_id ON public.shared_items USING btree (user_id);
CREATE INDEX ix_user_events_expiry ON public.user_events USING btree (expiry);
CREATE INDEX ix_user_events_user_id_timestamp ON public.user_events USING btree (user_id, "timestamp");
CREATE INDEX ix_user_follow_secrets_user_id ON public.user_follow_secrets USING btree (user_id);
CREATE INDEX ix_user_follow_secrets_value ON public.user_follow_secrets USING btree (value);
CREATE INDEX ix_user_inbox_items_user_id ON public.user_inbox_items USING btree (user_id);
CREATE UNIQUE INDEX ix_users_user_lookup ON public.users USING btree (user_lookup);
ALTER TABLE ONLY public.shared_items
    ADD CONSTRAINT fk_shared_items_users_user_id FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.user_events
    ADD CONSTRAINT fk_user_events_users_user_id FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.user_follow_secrets
    ADD CONSTRAINT fk_user_follow_secrets_users_user_id FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.user_inbox_items
    ADD CONSTRAINT fk_user_inbox_items_users_user_id FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;
