CREATE TABLE people (id INTEGER PRIMARY KEY, name VARCHAR(100) NOT NULL, born DATE, email TEXT UNIQUE);
CREATE TABLE book (id INTEGER PRIMARY KEY, title VARCHAR(200) NOT NULL,
    author_id INTEGER NOT NULL REFERENCES people (id), price NUMERIC(10, 2),
    notes TEXT, is_out BOOLEAN NOT NULL DEFAULT 0, "class" VARCHAR(10), text TEXT, size FLOAT,
    is_lent INTEGER NOT NULL DEFAULT 0 CHECK (is_lent IN (0, 1)),
    CONSTRAINT book_lent_check CHECK (size > 0 OR is_lent IN (0, 1)),
    CONSTRAINT book_price_check CHECK (price > 0));
CREATE TABLE tag (code VARCHAR(10) PRIMARY KEY);
CREATE TABLE book_tag (book_id INTEGER NOT NULL, tag_code VARCHAR(10) NOT NULL, PRIMARY KEY (book_id, tag_code),
    FOREIGN KEY (book_id) REFERENCES book (id) ON DELETE CASCADE, FOREIGN KEY (tag_code) REFERENCES tag (code));
CREATE TABLE log (line TEXT);
CREATE VIEW cheap AS SELECT id, title FROM book WHERE price < 5
