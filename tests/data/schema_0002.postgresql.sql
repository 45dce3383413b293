SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;
SET default_tablespace = '';
SET default_table_access_method = heap;
CREATE TABLE public.alembic_version (
    version_num character varying(32) NOT NULL
);
CREATE TABLE public.audit (
    id bigint NOT NULL,
    at bigint NOT NULL,
    actor text NOT NULL,
    action character varying(40) NOT NULL,
    device_name character varying(64) DEFAULT ''::character varying NOT NULL,
    detail text DEFAULT ''::text NOT NULL,
    digest character varying(64) DEFAULT ''::character varying NOT NULL
);
CREATE TABLE public.audit_head (
    id integer NOT NULL,
    digest character varying(64) NOT NULL
);
CREATE SEQUENCE public.audit_head_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.audit_head_id_seq OWNED BY public.audit_head.id;
CREATE SEQUENCE public.audit_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.audit_id_seq OWNED BY public.audit.id;
CREATE TABLE public.certificates (
    serial_number character varying(32) NOT NULL,
    device_name character varying(64) NOT NULL,
    operation_id bigint NOT NULL,
    der bytea NOT NULL,
    issuer_key_id character varying(64) NOT NULL,
    issuer text NOT NULL,
    issuer_not_after bigint NOT NULL,
    not_before bigint NOT NULL,
    not_after bigint NOT NULL,
    ec boolean NOT NULL,
    bits integer NOT NULL,
    public_key_sha256 character varying(64) NOT NULL,
    state character varying(10) NOT NULL,
    changed_at bigint NOT NULL
);
CREATE TABLE public.operations (
    id bigint NOT NULL,
    device_name character varying(64) NOT NULL,
    operation character varying(20) NOT NULL,
    authentication_mode character varying(60) NOT NULL,
    authentication_string bytea,
    key_order character varying(30) NOT NULL,
    key_size integer NOT NULL,
    ec_key_size integer NOT NULL,
    completes_by bigint NOT NULL,
    state character varying(10) NOT NULL,
    status character varying(80) NOT NULL,
    problem text DEFAULT ''::text NOT NULL,
    lost_sessions integer DEFAULT 0 NOT NULL,
    created_at bigint NOT NULL,
    ended_at bigint,
    holder character varying(160) DEFAULT ''::character varying NOT NULL
);
CREATE SEQUENCE public.operations_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.operations_id_seq OWNED BY public.operations.id;
CREATE TABLE public.phones (
    device_name character varying(64) NOT NULL,
    description text DEFAULT ''::text NOT NULL,
    device_pool text DEFAULT ''::text NOT NULL,
    device_type text DEFAULT ''::text NOT NULL,
    security_profile text DEFAULT ''::text NOT NULL,
    device_security_mode character varying(20) NOT NULL,
    mic boolean NOT NULL,
    authentication_mode character varying(60) NOT NULL,
    key_order character varying(30) NOT NULL,
    key_size integer,
    ec_key_size integer NOT NULL,
    operation_id bigint,
    wrong_strings integer DEFAULT 0 NOT NULL,
    locked_until bigint DEFAULT '0'::bigint NOT NULL
);
CREATE TABLE public.settings (
    name character varying(120) NOT NULL,
    value text NOT NULL
);
ALTER TABLE ONLY public.audit ALTER COLUMN id SET DEFAULT nextval('public.audit_id_seq'::regclass);
ALTER TABLE ONLY public.audit_head ALTER COLUMN id SET DEFAULT nextval('public.audit_head_id_seq'::regclass);
ALTER TABLE ONLY public.operations ALTER COLUMN id SET DEFAULT nextval('public.operations_id_seq'::regclass);
INSERT INTO public.alembic_version VALUES ('0002');
INSERT INTO public.audit VALUES (1, 1795000000, 'admin', 'schedule operation', 'SEP001122334455', '', '');
INSERT INTO public.audit VALUES (2, 1795000001, '192.0.2.1', 'claim operation', 'SEP001122334455', '', '');
INSERT INTO public.audit VALUES (3, 1795000002, 'capf', 'issue certificate', 'SEP001122334455', '', 'ef1b1c282d6df79ea09c95a301138fe1837123b44d896ac5fe7a5e303245206d');
INSERT INTO public.audit VALUES (4, 1795000003, 'admin', 'schedule operation', 'SEP001122334466', '', '49adc0afb2e5197315f7d75753a946fddc1712105deca80e60611c2e7f32a5da');
INSERT INTO public.audit_head VALUES (1, '49adc0afb2e5197315f7d75753a946fddc1712105deca80e60611c2e7f32a5da');
INSERT INTO public.certificates VALUES ('0000000000000000000000000000002a', 'SEP001122334455', 1, '\x308202fb308201e3a00302010202081234567890abcdef300d06092a864886f70d01010b0500303c3114301206035504030c0b4341502d5254502d30303131163014060355040a0c0d436973636f2053797374656d73310c300a060355040b0c034d4647301e170d3230303130313030303030305a170d3330303130313030303030305a303f3120301e06035504030c1743502d383834352d534550303031313232333334343535311b3019060355040a0c12436973636f2053797374656d7320496e632e30820122300d06092a864886f70d01010105000382010f003082010a0282010100b389e6e74a75b6c6ba5b3697d8bb54488d81f30fd8303470d1fc12712c3e0fe67f6e70546963d6629cdc632fabc9b06cb0d009066622e55f3bf729d8b0431cac59f8bbabeadfd29ebddf2fd60b4020d3a3beeb8d03be683d164879c1600111b5ca536496548b3700065399d4f73712e5c1f6b17c799810721e512788e75d211917bf2163d882cb5df256c9913459c7f130cd8e3dbac93ec8c1e413e3bfadedd48b48b496725cb05d8645f0aa319542f609cc371be4de0f83e4e1b586bb9963fcebab9042bde42ae01dc5b4790fe2d46ce4eb16f05a8368d208f85e9c5e85377ccfac2938cca5f61ea23e342e4e530cde8259491c6f7a60957a3911ffa9866dcd0203010001300d06092a864886f70d01010b0500038201010033e2d1e91a515ccd9a0033506516c3c89fde108df2cbd7ba8defc0098c0dee69612f634aa83ac2143f6b057eeebab6eca49c924ce32bb9807ecb76a1bb103eae8355c1c570fa34d86544e727b676d59fb2700050a26e0434561e3b83a2d796bb551a684ab9d3c6447f3d54c0cd2772b7d8fdae5ecfa21084a40bd585737710de4dfb5d9db1db1659870a797151ae6e76baab595117ce68fa5e8a5c4cc79c79968f72a8f8d8857ed1aaf8dcc6ef94de9cd64f8fec246fd8d52423dc643ea146463053d685ee48be7490a6353d2865c6c77fe0a2e2ce16e650ffc54195d18e72b1a95f4e4d66acaf892865e8c062b2f47823a3744ef7d26b7a2b91396bd5e91050', 'abababababababababababababababababababab', 'CN=CAPF-0a1b2c3d', 4000000000, 1795000000, 3900000000, false, 2048, 'cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd', 'active', 1795000060);
INSERT INTO public.operations VALUES (1, 'SEP001122334455', 'Install/Upgrade', 'By Null String', NULL, 'RSA Only', 2048, 384, 4000000000, 'done', 'Upgrade Success', '', 0, 1795000000, 1795000060, '');
INSERT INTO public.operations VALUES (2, 'SEP001122334466', 'Install/Upgrade', 'By Null String', NULL, 'RSA Only', 2048, 384, 4000000000, 'pending', 'Operation Pending', '', 0, 1795000000, NULL, '');
INSERT INTO public.phones VALUES ('SEP001122334455', 'Phone 0', '', '', '', 'Authenticated', true, 'By Null String', 'RSA Only', 2048, 384, 1, 0, 0);
INSERT INTO public.phones VALUES ('SEP001122334466', 'Phone 1', '', '', '', 'Authenticated', true, 'By Null String', 'RSA Only', 2048, 384, 2, 0, 0);
INSERT INTO public.settings VALUES ('administrator', 'admin');
INSERT INTO public.settings VALUES ('password', 'scrypt$cjLjONyZqQhQKKvtETapIw==$Hd0Vr5Xjvz3uBQNOmxidT2+7b8jq+HN8kncR96rIoD5Ac6BFVRZS9SibjC4GbfUP+OqxWyK/el4rWt99ceZr2A==');
INSERT INTO public.settings VALUES ('parameter:Key Size', '3072');
SELECT pg_catalog.setval('public.audit_head_id_seq', 1, false);
SELECT pg_catalog.setval('public.audit_id_seq', 4, true);
SELECT pg_catalog.setval('public.operations_id_seq', 2, true);
ALTER TABLE ONLY public.alembic_version
    ADD CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num);
ALTER TABLE ONLY public.audit_head
    ADD CONSTRAINT audit_head_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.audit
    ADD CONSTRAINT audit_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.certificates
    ADD CONSTRAINT certificates_pkey PRIMARY KEY (serial_number);
ALTER TABLE ONLY public.operations
    ADD CONSTRAINT operations_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.phones
    ADD CONSTRAINT phones_pkey PRIMARY KEY (device_name);
ALTER TABLE ONLY public.settings
    ADD CONSTRAINT settings_pkey PRIMARY KEY (name);
CREATE INDEX certificates_by_device ON public.certificates USING btree (device_name);
CREATE INDEX certificates_by_key ON public.certificates USING btree (public_key_sha256);
CREATE UNIQUE INDEX one_active_certificate_a_phone ON public.certificates USING btree (device_name) WHERE ((state)::text = 'active'::text);
CREATE UNIQUE INDEX one_open_operation_a_phone ON public.operations USING btree (device_name) WHERE ((state)::text = ANY ((ARRAY['pending'::character varying, 'claimed'::character varying, 'issued'::character varying])::text[]));
CREATE INDEX operations_by_device ON public.operations USING btree (device_name);
ALTER TABLE ONLY public.operations
    ADD CONSTRAINT operations_device_name_fkey FOREIGN KEY (device_name) REFERENCES public.phones(device_name) ON DELETE CASCADE;
