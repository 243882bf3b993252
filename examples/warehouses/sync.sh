#!/bin/bash
# One run, such as `sync.sh snowflake s3://example-exports/pinterest`: exports the table to Parquet files in a folder of
# its own, brings the list in step, removes who is gone, and deletes the files, whatever happened.
cd "$(dirname "$0")" || exit
warehouse=$1 folder=$2/$(date -u +%Y%m%dT%H%M%SZ)-$$
python=$(dirname "$(command -v target-pinterest-audience)")/python # has the target's drivers of object stores

clean_up() {
  code=$?
  "$python" parquet_files.py delete "$folder" || [ "$code" != 0 ] || code=1
  exit "$code"
}
trap clean_up EXIT
trap : TERM # the target gets the signal, too: wait until it has ended

case $warehouse in
  snowflake) command=(snow sql --stdin) ;;
  bigquery) command=(bq query --use_legacy_sql=false) ;;
  redshift) command=(psql "$REDSHIFT_URL" --set ON_ERROR_STOP=1) ;;
esac
sql=$(< "$warehouse.sql")

# Exit code 8: the rows are not all there, so nothing is read and nobody is removed.
"${command[@]}" <<< "${sql//@FOLDER@/$folder}" >&2 || exit 8
"$python" parquet_files.py messages "$folder" > messages.singer || exit 8
target-pinterest-audience --config target.json < messages.singer || exit
pinterest-audience prune --config target.json
