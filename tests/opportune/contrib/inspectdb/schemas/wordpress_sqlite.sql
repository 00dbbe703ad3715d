-- A blog as an importer writes it to SQLite: types of MySQL, zero dates, collations, no foreign keys.
CREATE TABLE "wp_users" (
    "ID" integer NOT NULL PRIMARY KEY AUTOINCREMENT,
    "user_login" text NOT NULL DEFAULT '' COLLATE NOCASE,
    "user_registered" datetime NOT NULL DEFAULT '0000-00-00 00:00:00',
    "user_status" int(11) NOT NULL DEFAULT '0'
);
CREATE INDEX "wp_users__user_login_key" ON "wp_users" ("user_login");
CREATE TABLE "wp_posts" (
    "ID" unsigned bigint(20) NOT NULL PRIMARY KEY,
    "post_author" bigint(20) NOT NULL DEFAULT '0',
    "post_date" datetime NOT NULL DEFAULT '0000-00-00 00:00:00',
    "post_content" longtext NOT NULL,
    "post_status" varchar(20) NOT NULL DEFAULT 'publish',
    "menu_order" tinyint(1) NOT NULL DEFAULT 0,
    "rating" double(8, 2) NOT NULL DEFAULT 0.5
);
CREATE TABLE "wp_postmeta" ("meta_id" integer PRIMARY KEY, "post_id" bigint NOT NULL DEFAULT 0, "meta_key" varchar(255) DEFAULT NULL, "meta_value" mediumtext);
CREATE TABLE "wp_term_relationships" ("object_id" bigint NOT NULL DEFAULT 0, "term_taxonomy_id" bigint NOT NULL DEFAULT 0, PRIMARY KEY ("object_id", "term_taxonomy_id"));
CREATE TABLE "odd names" ("1st" integer PRIMARY KEY, "a b" text, "class" varchar(10), "kind" geometry, "no type", "xml" xml);
