WITH named AS (
    SELECT entry, CASE depth WHEN 0 THEN {exact_name} ELSE {name_suffix} END AS rank
    FROM {schema}keys WHERE key = :symbol ORDER BY depth, entry LIMIT :max_hits
), prefixed AS (
    SELECT entry, CASE depth WHEN 0 THEN {name_prefix} ELSE {suffix_prefix} END AS rank
    FROM {schema}keys WHERE key > :symbol AND key < :upper_bound ORDER BY entry LIMIT :max_hits
), names AS MATERIALIZED (
    SELECT entry, rank FROM named UNION ALL SELECT entry, rank FROM prefixed
), matches AS (
    SELECT entry, rank FROM names UNION ALL {documents}
), best AS (
    SELECT entry, min(rank) AS rank, count(*) OVER () AS total
    FROM matches GROUP BY entry ORDER BY min(rank), entry LIMIT :limit OFFSET :offset
)
SELECT {result_columns}, rank, total
FROM best JOIN {schema}entries ON id = entry ORDER BY rank, entry
