-- A film rental shop: enum, domains, arrays, text search, triggers, views, mutual foreign keys, partitions.
CREATE TYPE mpaa_rating AS ENUM ('G', 'PG', 'PG-13', 'R', 'NC-17');
CREATE DOMAIN year AS integer CONSTRAINT year_check CHECK (VALUE >= 1901 AND VALUE <= 2155);
CREATE DOMAIN "bıgınt" AS bigint;
CREATE FUNCTION last_updated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.last_update = CURRENT_TIMESTAMP;
    RETURN NEW;
END $$;
CREATE FUNCTION _group_concat(text, text) RETURNS text LANGUAGE sql IMMUTABLE AS $_$
SELECT CASE WHEN $2 IS NULL THEN $1 WHEN $1 IS NULL THEN $2 ELSE $1 || ', ' || $2 END $_$;
CREATE AGGREGATE group_concat(text) (SFUNC = _group_concat, STYPE = text);

CREATE SEQUENCE actor_actor_id_seq;
CREATE TABLE actor (
    actor_id integer DEFAULT nextval('actor_actor_id_seq'::regclass) NOT NULL,
    first_name text NOT NULL,
    last_name text NOT NULL,
    last_update timestamp with time zone DEFAULT now() NOT NULL
);
CREATE TABLE category (
    category_id serial PRIMARY KEY,
    name character varying(25) NOT NULL,
    last_update timestamp without time zone DEFAULT now() NOT NULL
);
CREATE TABLE language (
    language_id serial PRIMARY KEY,
    name character(20) NOT NULL,
    last_update timestamp without time zone DEFAULT now() NOT NULL
);
CREATE TABLE country (
    country_id serial PRIMARY KEY,
    country character varying(50) NOT NULL,
    last_update timestamp without time zone DEFAULT now() NOT NULL
);
CREATE TABLE city (
    city_id serial PRIMARY KEY,
    city character varying(50) NOT NULL,
    country_id smallint NOT NULL,
    last_update timestamp without time zone DEFAULT now() NOT NULL
);
CREATE TABLE address (
    address_id serial PRIMARY KEY,
    address character varying(50) NOT NULL,
    address2 character varying(50),
    district character varying(20) NOT NULL,
    city_id smallint NOT NULL,
    postal_code character varying(10),
    phone character varying(20) NOT NULL,
    last_update timestamp without time zone DEFAULT now() NOT NULL
);
CREATE TABLE film (
    film_id serial PRIMARY KEY,
    title character varying(255) NOT NULL,
    description text,
    release_year year,
    language_id smallint NOT NULL,
    original_language_id smallint,
    rental_duration smallint DEFAULT 3 NOT NULL,
    rental_rate numeric(4,2) DEFAULT 4.99 NOT NULL,
    length smallint,
    replacement_cost numeric(5,2) DEFAULT 19.99 NOT NULL,
    rating mpaa_rating DEFAULT 'G'::mpaa_rating,
    last_update timestamp without time zone DEFAULT now() NOT NULL,
    special_features text[],
    fulltext tsvector NOT NULL
);
CREATE TABLE film_actor (
    actor_id smallint NOT NULL,
    film_id smallint NOT NULL,
    last_update timestamp without time zone DEFAULT now() NOT NULL,
    CONSTRAINT film_actor_pkey PRIMARY KEY (actor_id, film_id)
);
CREATE TABLE film_category (
    film_id smallint NOT NULL,
    category_id smallint NOT NULL,
    last_update timestamp without time zone DEFAULT now() NOT NULL,
    PRIMARY KEY (film_id, category_id)
);
CREATE TABLE store (
    store_id serial PRIMARY KEY,
    manager_staff_id smallint NOT NULL,
    address_id smallint NOT NULL,
    last_update timestamp without time zone DEFAULT now() NOT NULL
);
CREATE TABLE staff (
    staff_id serial PRIMARY KEY,
    first_name character varying(45) NOT NULL,
    last_name character varying(45) NOT NULL,
    address_id smallint NOT NULL,
    email character varying(50),
    store_id smallint NOT NULL,
    active boolean DEFAULT true NOT NULL,
    username character varying(16) NOT NULL,
    password character varying(40),
    last_update timestamp without time zone DEFAULT now() NOT NULL,
    picture bytea
);
CREATE TABLE customer (
    customer_id serial PRIMARY KEY,
    store_id smallint NOT NULL,
    first_name character varying(45) NOT NULL,
    last_name character varying(45) NOT NULL,
    email character varying(50),
    address_id smallint NOT NULL,
    activebool boolean DEFAULT true NOT NULL,
    create_date date DEFAULT ('now'::text)::date NOT NULL,
    last_update timestamp without time zone DEFAULT now(),
    active integer
);
CREATE TABLE inventory (
    inventory_id serial PRIMARY KEY,
    film_id smallint NOT NULL,
    store_id smallint NOT NULL,
    last_update timestamp without time zone DEFAULT now() NOT NULL
);
CREATE TABLE rental (
    rental_id serial PRIMARY KEY,
    rental_date timestamp with time zone NOT NULL,
    inventory_id integer NOT NULL,
    customer_id smallint NOT NULL,
    return_date timestamp with time zone,
    staff_id smallint NOT NULL,
    last_update timestamp with time zone DEFAULT now() NOT NULL
);
CREATE SEQUENCE payment_payment_id_seq;
CREATE TABLE payment (
    payment_id integer DEFAULT nextval('payment_payment_id_seq'::regclass) NOT NULL,
    customer_id smallint NOT NULL,
    staff_id smallint NOT NULL,
    rental_id integer NOT NULL,
    amount numeric(5,2) NOT NULL,
    payment_date timestamp with time zone NOT NULL,
    PRIMARY KEY (payment_date, payment_id)
) PARTITION BY RANGE (payment_date);
CREATE TABLE payment_p2022_01 PARTITION OF payment FOR VALUES FROM ('2022-01-01') TO ('2022-02-01');
CREATE TABLE payment_p2022_02 PARTITION OF payment FOR VALUES FROM ('2022-02-01') TO ('2022-03-01');
CREATE TABLE packages_apt_postgresql_org (
    last_updated timestamp with time zone DEFAULT now(),
    aptdata jsonb
);

CREATE VIEW customer_list AS
SELECT cu.customer_id AS id, cu.first_name || ' ' || cu.last_name AS name, a.postal_code AS "zip code", cu.store_id AS sid
FROM customer cu JOIN address a ON cu.address_id = a.address_id;
CREATE VIEW film_list AS
SELECT film.film_id AS fid, film.title, film.rating, group_concat(actor.first_name || ' ' || actor.last_name) AS actors
FROM film JOIN film_actor USING (film_id) JOIN actor ON film_actor.actor_id = actor.actor_id
GROUP BY film.film_id, film.title, film.rating;
CREATE MATERIALIZED VIEW rental_by_category AS
SELECT c.name AS category, sum(p.amount) AS total_sales
FROM payment p JOIN rental r ON p.rental_id = r.rental_id JOIN inventory i ON r.inventory_id = i.inventory_id
JOIN film_category fc ON i.film_id = fc.film_id JOIN category c ON fc.category_id = c.category_id
GROUP BY c.name WITH NO DATA;
CREATE UNIQUE INDEX rental_category ON rental_by_category (category);

ALTER TABLE ONLY actor ADD CONSTRAINT actor_pkey PRIMARY KEY (actor_id);
CREATE INDEX film_fulltext_idx ON film USING gist (fulltext);
CREATE INDEX idx_actor_last_name ON actor (last_name);
CREATE INDEX idx_fk_address_id ON customer (address_id);
CREATE INDEX idx_fk_customer_id ON ONLY payment (customer_id);
CREATE INDEX payment_p2022_01_customer_id_idx ON payment_p2022_01 (customer_id);
CREATE INDEX idx_title ON film (title);
CREATE UNIQUE INDEX idx_unq_manager_staff_id ON store (manager_staff_id);
CREATE UNIQUE INDEX idx_unq_rental ON rental (rental_date, inventory_id, customer_id);
CREATE TRIGGER film_fulltext_trigger BEFORE INSERT OR UPDATE ON film FOR EACH ROW
    EXECUTE FUNCTION tsvector_update_trigger('fulltext', 'pg_catalog.english', 'title', 'description');
CREATE TRIGGER last_updated BEFORE UPDATE ON film FOR EACH ROW EXECUTE FUNCTION last_updated();
CREATE TRIGGER last_updated BEFORE UPDATE ON actor FOR EACH ROW EXECUTE FUNCTION last_updated();

ALTER TABLE address ADD CONSTRAINT address_city_id_fkey FOREIGN KEY (city_id) REFERENCES city ON UPDATE CASCADE ON DELETE RESTRICT;
ALTER TABLE city ADD FOREIGN KEY (country_id) REFERENCES country ON UPDATE CASCADE ON DELETE RESTRICT;
ALTER TABLE customer ADD FOREIGN KEY (address_id) REFERENCES address ON UPDATE CASCADE ON DELETE RESTRICT;
ALTER TABLE customer ADD FOREIGN KEY (store_id) REFERENCES store ON UPDATE CASCADE ON DELETE RESTRICT;
ALTER TABLE film_actor ADD FOREIGN KEY (actor_id) REFERENCES actor ON UPDATE CASCADE ON DELETE RESTRICT;
ALTER TABLE film_actor ADD FOREIGN KEY (film_id) REFERENCES film ON UPDATE CASCADE ON DELETE RESTRICT;
ALTER TABLE film_category ADD FOREIGN KEY (category_id) REFERENCES category ON UPDATE CASCADE ON DELETE RESTRICT;
ALTER TABLE film_category ADD FOREIGN KEY (film_id) REFERENCES film ON UPDATE CASCADE ON DELETE RESTRICT;
ALTER TABLE film ADD FOREIGN KEY (language_id) REFERENCES language ON UPDATE CASCADE ON DELETE RESTRICT;
ALTER TABLE film ADD FOREIGN KEY (original_language_id) REFERENCES language ON UPDATE CASCADE ON DELETE RESTRICT;
ALTER TABLE inventory ADD FOREIGN KEY (film_id) REFERENCES film ON UPDATE CASCADE ON DELETE RESTRICT;
ALTER TABLE inventory ADD FOREIGN KEY (store_id) REFERENCES store ON UPDATE CASCADE ON DELETE RESTRICT;
ALTER TABLE payment_p2022_01 ADD FOREIGN KEY (customer_id) REFERENCES customer;
ALTER TABLE payment_p2022_01 ADD FOREIGN KEY (rental_id) REFERENCES rental;
ALTER TABLE rental ADD FOREIGN KEY (customer_id) REFERENCES customer ON UPDATE CASCADE ON DELETE RESTRICT;
ALTER TABLE rental ADD FOREIGN KEY (inventory_id) REFERENCES inventory ON UPDATE CASCADE ON DELETE RESTRICT;
ALTER TABLE rental ADD FOREIGN KEY (staff_id) REFERENCES staff ON UPDATE CASCADE ON DELETE RESTRICT;
ALTER TABLE staff ADD FOREIGN KEY (address_id) REFERENCES address ON UPDATE CASCADE ON DELETE RESTRICT;
ALTER TABLE staff ADD FOREIGN KEY (store_id) REFERENCES store;
ALTER TABLE store ADD FOREIGN KEY (address_id) REFERENCES address ON UPDATE CASCADE ON DELETE RESTRICT;
ALTER TABLE store ADD FOREIGN KEY (manager_staff_id) REFERENCES staff ON UPDATE CASCADE ON DELETE RESTRICT;
