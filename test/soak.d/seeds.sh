# seeds.sh: what the soaks of simulators share
#
# shellcheck shell=bash

# The shellcheck of a file alone does not see who uses these.
# shellcheck disable=SC2034,SC2154

BATCH=500

# lane NAME PROGRAM SEEDS NUMBER LANES: every so many batches one, until the time
# is over or one fails
lane()
{
	local program=$2 seeds=$3 batch=$4 lanes=$5 log=$FTC_WORK/log/$1-$4

	while [ $((batch * BATCH)) -lt "$seeds" ] && [ "$SECONDS" -lt "$until" ]; do
		"${FTC_AS_USER[@]}" "$program" --seeds $((first + batch * BATCH)):"$BATCH" >"$log.last" 2>&1 || true
		ftc_read_closing_line "$log.last"
		printf '%d %d\n' "$passed" "$failed" >>"$log"
		if [ "$failed" -gt 0 ] || [ "$passed" -eq 0 ]; then
			cat "$log.last"
			break
		fi
		batch=$((batch + lanes))
	done
}

# simulate NAME PROGRAM SEEDS: so many seeds, or as many as there is time for, on
# all cores
simulate()
{
	local name=$1 program=$2 seeds=$3 lanes until=$((SECONDS + FTC_SOAK_SECONDS))
	local first=$((FTC_SOAK_SEED * 1000000 + 1)) i log good bad batches=0 passed failed skipped

	lanes=$(nproc)
	ftc_note "seeds from $first on, $lanes at a time, for $FTC_SOAK_SECONDS s"
	for ((i = 0; i < lanes; i++)); do
		lane "$name" "$program" "$seeds" "$i" "$lanes" &
	done
	wait
	for ((i = 0; i < lanes; i++)); do
		log=$FTC_WORK/log/$name-$i
		[ -s "$log" ] || continue
		while read -r good bad; do
			batches=$((batches + 1))
			FTC_PASSED=$((FTC_PASSED + good))
			FTC_FAILED=$((FTC_FAILED + bad + (good + bad == 0)))
		done <"$log"
	done
	ftc_note "$((batches * BATCH)) of $seeds seeds were begun"
	[ "$batches" -gt 0 ] || ftc_die 'no seed was run'
}

# once NAME PROGRAM ARGUMENT...: a run that is no batch of seeds
once()
{
	local log=$FTC_WORK/log/$1-once passed failed skipped

	shift
	"${FTC_AS_USER[@]}" "$@" >"$log" 2>&1 || true
	cat "$log"
	ftc_read_closing_line "$log"
	FTC_PASSED=$((FTC_PASSED + passed))
	FTC_FAILED=$((FTC_FAILED + failed + (passed + failed == 0)))
}
