WITH RECURSIVE children AS (
    SELECT inhrelid AS oid, parent.relname AS root FROM pg_inherits
    JOIN pg_class AS parent ON parent.oid = inhparent
    WHERE parent.relnamespace = to_regnamespace(quote_ident(current_schema()))
    UNION SELECT inhrelid, root FROM pg_inherits JOIN children ON children.oid = inhparent
)
SELECT relname, root FROM children JOIN pg_class USING (oid)
WHERE relkind IN ('r', 'p') AND relnamespace = to_regnamespace(quote_ident(current_schema()))
