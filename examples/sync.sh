#!/bin/bash
# One run: reads the table, brings the list in step, removes who is gone.
cd "$(dirname "$0")" || exit
state=${STATE_FOLDER:-.}
trap stopped=143 TERM # tap and target get the signal, too: wait until they have ended

# Settings come from these files, or from the environment where a file is missing.
tap=tap.json target=target.json
[ -e "$tap" ] || tap=ENV
[ -e "$target" ] || target=ENV

since=()
[ -s "$state/state.json" ] && since=(--state "$state/state.json")

tap-postgres --config "$tap" --catalog catalog.json "${since[@]}" \
  | target-pinterest-audience --config "$target" > "$state/states.jsonl"
codes=("${PIPESTATUS[@]}")

# After a failure too: whatever STATE was written is covered.
[ -s "$state/states.jsonl" ] && tail -n 1 "$state/states.jsonl" > "$state/state.new" \
  && mv "$state/state.new" "$state/state.json"

# The target's code counts, as it names the cause. If only the tap failed, the stream is incomplete: 8.
[ "${codes[1]}" = 0 ] || exit "${codes[1]}"
[ "${codes[0]}" = 0 ] || exit 8
[ -z "$stopped" ] || exit "$stopped"
pinterest-audience prune --config "$target"
