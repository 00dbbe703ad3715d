-- Sequences that defaults of the tables use, and that no column owns. pg_dump would not dump them with the tables, and
-- a DROP of the tables would leave them. Adopted tables can have such sequences.
SELECT DISTINCT sequence.relname FROM pg_depend JOIN pg_attrdef ON pg_attrdef.oid = objid
JOIN pg_class AS sequence ON sequence.oid = refobjid JOIN pg_class AS owner ON owner.oid = adrelid
WHERE classid = 'pg_attrdef'::regclass AND refclassid = 'pg_class'::regclass AND sequence.relkind = 'S'
AND sequence.relnamespace = to_regnamespace(quote_ident(current_schema())) AND owner.relname = ANY(:tables)
AND owner.relnamespace = sequence.relnamespace AND NOT EXISTS (
    SELECT 1 FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = sequence.oid AND deptype IN ('a', 'i'))
ORDER BY 1
