SELECT DISTINCT extname FROM pg_depend AS needed
JOIN pg_depend AS member ON member.classid = needed.refclassid AND member.objid = needed.refobjid
    AND member.deptype = 'e'
JOIN pg_extension ON pg_extension.oid = member.refobjid
WHERE needed.classid = 'pg_class'::regclass
    AND needed.objid IN (SELECT indexrelid FROM pg_index WHERE indrelid = to_regclass(:table))
OR needed.classid = 'pg_attrdef'::regclass
    AND needed.objid IN (SELECT oid FROM pg_attrdef WHERE adrelid = to_regclass(:table))
ORDER BY 1
