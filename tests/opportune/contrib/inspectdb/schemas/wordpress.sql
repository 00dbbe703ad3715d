-- A blog: a prefix, zeros and empty texts as defaults, no foreign keys, keys called ID and names in both cases.
CREATE TABLE wp_users (
    "ID" bigserial PRIMARY KEY,
    user_login varchar(60) NOT NULL DEFAULT '',
    user_pass varchar(255) NOT NULL DEFAULT '',
    user_email varchar(100) NOT NULL DEFAULT '',
    user_registered timestamp NOT NULL DEFAULT '1970-01-01 00:00:00',
    user_status integer NOT NULL DEFAULT 0
);
CREATE INDEX user_login_key ON wp_users (user_login);
CREATE TABLE wp_usermeta (
    umeta_id bigserial PRIMARY KEY,
    user_id bigint NOT NULL DEFAULT 0,
    meta_key varchar(255) DEFAULT NULL,
    meta_value text
);
CREATE TABLE wp_posts (
    "ID" bigserial PRIMARY KEY,
    post_author bigint NOT NULL DEFAULT '0',
    post_date timestamp NOT NULL DEFAULT '1970-01-01 00:00:00',
    post_content text NOT NULL,
    post_title text NOT NULL,
    post_status varchar(20) NOT NULL DEFAULT 'publish',
    post_name varchar(200) NOT NULL DEFAULT '',
    post_parent bigint NOT NULL DEFAULT 0,
    menu_order integer NOT NULL DEFAULT 0,
    comment_count bigint NOT NULL DEFAULT 0
);
CREATE INDEX type_status_date ON wp_posts (post_status, post_date, "ID");
CREATE TABLE wp_comments (
    "comment_ID" bigserial PRIMARY KEY,
    "comment_post_ID" bigint NOT NULL DEFAULT 0,
    comment_author text NOT NULL,
    "comment_author_IP" varchar(100) NOT NULL DEFAULT '',
    comment_date timestamp NOT NULL DEFAULT '1970-01-01 00:00:00',
    comment_karma integer NOT NULL DEFAULT 0
);
CREATE TABLE wp_options (
    option_id bigserial PRIMARY KEY,
    option_name varchar(191) NOT NULL DEFAULT '' UNIQUE,
    option_value text NOT NULL,
    autoload varchar(20) NOT NULL DEFAULT 'yes'
);
CREATE TABLE wp_term_relationships (
    object_id bigint NOT NULL DEFAULT 0,
    term_taxonomy_id bigint NOT NULL DEFAULT 0,
    term_order integer NOT NULL DEFAULT 0,
    PRIMARY KEY (object_id, term_taxonomy_id)
);
CREATE TABLE wp_links (
    link_id bigserial PRIMARY KEY,
    link_url varchar(255) NOT NULL DEFAULT '',
    link_rating integer NOT NULL DEFAULT 0,
    link_notes text NOT NULL
);
