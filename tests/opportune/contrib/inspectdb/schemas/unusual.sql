CREATE EXTENSION IF NOT EXISTS hstore;
-- Everything else: odd names, types without a class in SQLAlchemy, other schemas, EXCLUDE, inheritance, mutual keys.
CREATE SCHEMA accounting;
CREATE TABLE accounting.ledger (id serial PRIMARY KEY, name text NOT NULL);
CREATE TYPE mood AS ENUM ('sad', 'it''s ok', 'happy');
CREATE TYPE point3d AS (x double precision, y double precision, z double precision);
CREATE DOMAIN email AS varchar(254) CHECK (VALUE ~ '^[^@]+@[^@]+$');
CREATE SEQUENCE ticket_numbers;
CREATE TABLE "odd names" (
    id bigserial PRIMARY KEY,
    "1st" integer,
    "a b" text,
    "class" varchar(10),
    "Class" varchar(10),
    "100%" integer,
    "_hidden" boolean,
    "__x" boolean,
    "model_config" text,
    "metadata" text,
    "copy" text,
    "%" text,
    "größe" integer,
    "self" integer,
    "createdAt" timestamptz DEFAULT now(),
    "HTTPStatus" integer
);
CREATE TABLE "2fa codes" (code varchar(10) PRIMARY KEY, "Any" text, "text" text);
CREATE TABLE model (id bigserial PRIMARY KEY, name text);
CREATE TABLE kinds (
    id bigserial PRIMARY KEY,
    doc xml,
    words tsvector,
    query tsquery,
    span int4range,
    spans int8multirange,
    during tstzrange,
    days daterange NOT NULL DEFAULT 'empty',
    address inet,
    network cidr,
    hardware macaddr,
    hardware8 macaddr8,
    paid money,
    waited interval,
    waited_hours interval hour to minute,
    flags bit(3),
    more_flags bit varying(5),
    place point,
    area polygon,
    position_3d point3d,
    positions point3d[],
    feeling mood DEFAULT 'it''s ok',
    feelings mood[],
    mail email,
    mails email[],
    path jsonpath,
    number numeric,
    big numeric(30, 10),
    small smallint,
    single real,
    at time,
    at_zone timetz,
    letter "char",
    word name,
    fixed char(3),
    data json,
    binary_data bytea,
    reference oid,
    matrix integer[][],
    uid uuid DEFAULT gen_random_uuid(),
    ticket integer DEFAULT nextval('ticket_numbers'),
    doubled integer GENERATED ALWAYS AS (length('a') * 2) STORED,
    number_always integer GENERATED ALWAYS AS IDENTITY,
    labels hstore,
    collated text COLLATE "C"
);
CREATE INDEX kinds_words ON kinds USING gin (words);
CREATE INDEX kinds_mail ON kinds (mail) INCLUDE (number);
CREATE INDEX kinds_sorted ON kinds (number DESC NULLS LAST);
CREATE UNIQUE INDEX kinds_lower ON kinds (lower(mail), (data ->> 'x'));
CREATE TABLE booking (
    id bigserial PRIMARY KEY,
    room integer NOT NULL,
    during tsrange NOT NULL,
    ledger_id integer REFERENCES accounting.ledger (id),
    CONSTRAINT booking_no_overlap EXCLUDE USING gist (int4range(room, room, '[]') WITH =, during WITH &&),
    CHECK (NOT isempty(during)),
    UNIQUE NULLS NOT DISTINCT (room, ledger_id)
);
COMMENT ON TABLE booking IS 'Who has which room';
COMMENT ON COLUMN booking.room IS 'The room''s number';
CREATE TABLE a (id serial PRIMARY KEY, b_id integer NOT NULL);
CREATE TABLE b (id serial PRIMARY KEY, c_id integer, a_id integer REFERENCES a DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE c (id serial PRIMARY KEY, a_id integer REFERENCES a, b_id integer REFERENCES b, c_id integer REFERENCES c);
ALTER TABLE a ADD CONSTRAINT a_b_id_fkey FOREIGN KEY (b_id) REFERENCES b ON DELETE CASCADE;
ALTER TABLE b ADD CONSTRAINT b_c_id_fkey FOREIGN KEY (c_id) REFERENCES c ON DELETE SET NULL;
CREATE TABLE part (maker varchar(5), number integer, next_maker varchar(5), next_number integer,
    PRIMARY KEY (maker, number), FOREIGN KEY (next_maker, next_number) REFERENCES part (maker, number) MATCH FULL);
CREATE TABLE measurement (city_id integer NOT NULL, logdate date NOT NULL, peak integer) PARTITION BY LIST (city_id);
CREATE TABLE measurement_1 PARTITION OF measurement FOR VALUES IN (1);
CREATE TABLE vehicle (id bigserial PRIMARY KEY, name text);
CREATE TABLE car (doors integer, PRIMARY KEY (id)) INHERITS (vehicle);
CREATE TABLE "old.log" (id bigserial PRIMARY KEY);
CREATE FOREIGN DATA WRAPPER files;
CREATE SERVER other FOREIGN DATA WRAPPER files;
CREATE FOREIGN TABLE remote (id integer) SERVER other;
CREATE TABLE only_one (room integer);
CREATE UNLOGGED TABLE scratch (id bigserial PRIMARY KEY, note text);
CREATE MATERIALIZED VIEW rooms AS SELECT DISTINCT room FROM booking;
CREATE VIEW cars AS SELECT id, doors FROM car;
