folder=$1 port=$2 bin=$3; shift 3
if {
    "$bin/$@" --pgdata "$folder/data" &&
    "$bin/pg_ctl" --pgdata "$folder/data" --log "$folder/log" --options "-p $port -h 127.0.0.1 -k ''" --wait start
} >"$folder/start" 2>&1; then echo ready; cat >/dev/null; else cat "$folder/start"; fi
"$bin/pg_ctl" --pgdata "$folder/data" --mode immediate stop >/dev/null 2>&1
rm -rf "$folder" 2>/dev/null
