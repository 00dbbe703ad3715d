SELECT CASE WHEN extname IS NOT NULL THEN 'CREATE EXTENSION IF NOT EXISTS ' || quote_ident(extname) ELSE
CASE typtype
    WHEN 'c' THEN 'CREATE TYPE ' || name || ' AS (' || (
        SELECT string_agg(quote_ident(attname) || ' ' || format_type(atttypid, atttypmod), ', ' ORDER BY attnum)
        FROM pg_attribute WHERE attrelid = typrelid AND attnum > 0 AND NOT attisdropped) || ')'
    WHEN 'r' THEN 'CREATE TYPE ' || name || ' AS RANGE (subtype = ' || (
        SELECT format_type(rngsubtype, NULL) FROM pg_range WHERE rngtypid = pg_type.oid) || ')'
    WHEN 'd' THEN 'CREATE DOMAIN ' || name || ' AS ' || format_type(typbasetype, typtypmod)
        || coalesce(' DEFAULT ' || typdefault, '') || CASE WHEN typnotnull THEN ' NOT NULL' ELSE '' END
        || coalesce((SELECT string_agg(' CONSTRAINT ' || quote_ident(conname) || ' ' || pg_get_constraintdef(oid),
            '' ORDER BY conname) FROM pg_constraint WHERE contypid = pg_type.oid AND contype = 'c'), '')
END END
FROM pg_type CROSS JOIN format_type(pg_type.oid, NULL) AS name
LEFT JOIN pg_depend ON classid = 'pg_type'::regclass AND objid = pg_type.oid AND deptype = 'e'
LEFT JOIN pg_extension ON pg_extension.oid = refobjid
WHERE pg_type.oid = to_regtype(:name) AND typnamespace <> 'pg_catalog'::regnamespace
