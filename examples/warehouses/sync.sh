#!/bin/bash
# One run, such as `sync.sh snowflake s3://example-exports/pinterest`: exports the table to Parquet files in a folder of
# its own, brings the list in step, removes who is gone, and deletes the files, whatever happened.
set -o pipefail
cd "$(dirname "$0")" || exit
warehouse=$1 folder=$2/$(date -u +%Y%m%dT%H%M%SZ)-$$
python=$(dirname "$(command -v target-pinterest-audience)")/python # has the target's drivers of object stores

clean_up() {
  code=$?
  "$python" parquet_files.py delete "$folder" || [ "$code" != 0 ] || code=1
  exit "$code"
}
trap clean_up EXIT

sql=$(< "$warehouse.sql")
sql=${sql//@FOLDER@/$folder}
export_table() {
  case $warehouse in
    snowflake) snow sql --query "$sql" ;;
    bigquery) bq query --use_legacy_sql=false "$sql" ;;
    redshift) psql "$REDSHIFT_URL" --set ON_ERROR_STOP=1 --command "$sql" ;;
  esac
}

# Exit code 8: the rows are not all there, so nothing is read and nobody is removed.
export_table >&2 || exit 8
"$python" parquet_files.py messages "$folder" > messages.singer || exit 8
target-pinterest-audience --config target.json < messages.singer || exit
pinterest-audience prune --config target.json
