# shellcheck shell=bash
#
# bench.sh: what the benchmarks share
#
# A benchmark measures a subject of ours and its peer in the same run,
# alternating, because a machine is never twice the same: only the ratio of
# the two counts.  It prints the medians of both, the ratio of the medians and,
# in brackets, the least and the greatest ratio of any one round.
#
#	bench_options ROWS QUICK_ROWS ARGUMENT...	BENCH_ROUNDS, _SECONDS, _ROWS, _PARTITION, _ONLY, _QUICK
#	bench_wants PART		was it not left out by --only?
#	bench_begin [demo|run|bench]	build, and be ready to make servers; with what packages
#	bench_server NAME [CONF LINE...]
#	bench_sample SUBJECT SIDE VALUE		one measurement of one round
#	bench_compare SUBJECT UNIT SIDE PEER [FLOOR]
#	bench_inform SUBJECT UNIT SIDE		a measurement that has no peer
#	bench_at_most SUBJECT UNIT SIDE MOST	one that has a limit
#	bench_end				status 3 if a floor was missed
#
# Settings, from the environment:
#	BENCH_RESULTS=FILE		append a line for each comparison, for test/bench/run
#
# shellcheck source=test/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

BENCH_ROUNDS=
BENCH_SECONDS=
BENCH_ROWS=
BENCH_PARTITION=
BENCH_QUICK=
BENCH_ONLY=
BENCH_RESULTS=${BENCH_RESULTS:-}
BENCH_MISSED=0
BENCH_SAMPLES=

bench_usage()
{
	printf 'usage: test/bench/%s [-n ROUNDS | --rounds ROUNDS] [--seconds SECONDS] [--rows ROWS] [--partition SECONDS] [--only PART,...] [--quick] [--keep]\n' \
		"$FTC_SCRIPT" >&2
	exit 2
}

# bench_options ROWS QUICK_ROWS ARGUMENT...
#
# --seconds is for what runs for a time, --rows for what has a size, --partition
# for networks, --only leaves out parts of it; each benchmark heeds the ones that
# concern it.
bench_options()
{
	local rows=$1 quick_rows=$2 name

	shift 2
	while [ $# -gt 0 ]; do
		case $1 in
			-n | --rounds | --seconds | --rows | --partition)
				[[ ${2:-} =~ ^[1-9][0-9]*$ ]] || bench_usage
				name=${1#--}
				[ "$name" != -n ] || name=rounds
				printf -v "BENCH_${name^^}" '%s' "$2"
				shift
				;;
			--only)
				[[ ${2:-} =~ ^[a-z,]+$ ]] || bench_usage
				BENCH_ONLY=$2
				shift
				;;
			--quick) BENCH_QUICK=1 ;;
			--keep) FTC_KEEP=1 ;;
			*) bench_usage ;;
		esac
		shift
	done
	if [ -n "$BENCH_QUICK" ]; then
		: "${BENCH_ROUNDS:=2}" "${BENCH_SECONDS:=2}" "${BENCH_ROWS:=$quick_rows}" "${BENCH_PARTITION:=3}"
	else
		: "${BENCH_ROUNDS:=5}" "${BENCH_SECONDS:=10}" "${BENCH_ROWS:=$rows}" "${BENCH_PARTITION:=30}"
	fi
}

# bench_wants PART: is it to be measured?
bench_wants()
{
	[ -z "$BENCH_ONLY" ] || [[ ,$BENCH_ONLY, == *,$1,* ]]
}

bench_begin()
{
	ftc_packages "${1:-demo}"
	ftc_workdir
	ftc_build release
	ftc_use release
	BENCH_SAMPLES=$FTC_WORK/log/samples
	: >"$BENCH_SAMPLES"
	ftc_note "$BENCH_ROUNDS rounds, $(nproc) cores ($(bench_processor)), load $(cut -d ' ' -f 1-3 /proc/loadavg)"
	[ -z "$BENCH_QUICK" ] || ftc_note 'quick: this shows that it works, not how fast it is'
}

bench_processor()
{
	sed -n 's/^model name[^:]*: *//p;T;q' /proc/cpuinfo
}

# bench_server NAME [CONF LINE...]: a server with ftchain in it
#
# Autovacuum and timed checkpoints would fall into the time of the one or of
# the other; so they are off, and done by hand between the measurements.
bench_server()
{
	local name=$1

	ftc_server_init "$@" \
		"shared_buffers = '512MB'" \
		"max_wal_size = '16GB'" \
		"min_wal_size = '2GB'" \
		"checkpoint_timeout = '1d'" \
		'autovacuum = off'
	ftc_server_start "$name"
	ftc_query "$name" 'CREATE EXTENSION ftchain'
	ftc_note "server $name: PostgreSQL $(ftc_query "$name" "SELECT split_part(current_setting('server_version'), ' ', 1)"), $(
		ftc_query "$name" "SELECT string_agg(name || ' ' || current_setting(name), ', ')
			FROM unnest(ARRAY['fsync', 'synchronous_commit', 'shared_buffers', 'autovacuum', 'wal_level']) AS name"
	)"
}

# bench_link FROM TO: FROM reaches TO as foreign server TO
bench_link()
{
	local from=$1 to=$2

	ftc_query "$to" "CREATE ROLE peer_$from LOGIN PASSWORD 'secret' IN ROLE ftchain_peer"
	ftc_psql "$from" <<-SQL
		SET client_min_messages = warning;
		CREATE EXTENSION IF NOT EXISTS postgres_fdw;
		CREATE SERVER "$to" FOREIGN DATA WRAPPER postgres_fdw
		    OPTIONS (host '127.0.0.1', port '$(ftc_server_port "$to")', dbname 'postgres');
		GRANT USAGE ON FOREIGN SERVER "$to" TO ftchain_worker;
		CREATE USER MAPPING FOR ftchain_worker SERVER "$to" OPTIONS (user 'peer_$from', password 'secret');
	SQL
}

# The workers as in production: sealer, courier and keeper.
bench_workers_start()
{
	ftc_query "$1" 'SELECT ftchain.start()' >/dev/null
	ftc_wait_for 60 "the workers of $1" ftc_query_true "$1" \
		'SELECT count(*) = 3 FROM ftchain.worker_status() WHERE pid IS NOT NULL'
}

bench_workers_stop()
{
	ftc_query "$1" 'SELECT ftchain.stop()' >/dev/null
	ftc_wait_for 60 "the end of the workers of $1" ftc_query_true "$1" \
		'SELECT count(*) = 0 FROM ftchain.worker_status() WHERE pid IS NOT NULL'
}

# All that was appended is in blocks.
bench_wait_sealed()
{
	ftc_wait_for 300 "server $1 to seal" ftc_query_true "$1" \
		"SELECT pending = 0 FROM ftchain.status WHERE chain = 'bench'"
}

# What autovacuum and the checkpointer do in production.
bench_settle()
{
	ftc_psql "$1" -c 'VACUUM ANALYZE' -c CHECKPOINT
}

# bench_time NAME SQL: how long the statement takes, in ms, as psql times it
bench_time()
{
	ftc_psql "$1" -o /dev/null -c '\timing on' -c "$2" |
		awk '/^Time: / { ms = $2 } END { if (ms == "") exit 1; print ms }'
}

# bench_pgbench NAME SYNCHRONOUS_COMMIT CLIENTS ARGUMENT...: prepared statements
#
# Answers with two words, transactions per second and transactions.
bench_pgbench()
{
	local name=$1 sync=$2 clients=$3 cores log=$FTC_WORK/log/pgbench

	shift 3
	cores=$(nproc)
	ftc_as_user env PGOPTIONS="-c synchronous_commit=$sync" "${FTC_SERVER_BIN[$name]}/pgbench" \
		-n -M prepared -c "$clients" -j $((clients < cores ? clients : cores)) \
		-h "$FTC_WORK/socket/$name" -p "${FTC_PORT[$name]}" -U postgres "$@" postgres >"$log" 2>&1 || {
		cat "$log" >&2
		return 1
	}
	awk '
		/^tps = / { tps = $3 }
		/^number of transactions actually processed: / { split($NF, n, "/"); done = n[1] }
		/^number of failed transactions: / { failed = $5 }
		END { if (tps == "" || done == "" || failed > 0) exit 1; print tps, done }' "$log"
}

# bench_per_second COUNT MS
bench_per_second()
{
	awk -v n="$1" -v ms="$2" 'BEGIN { print n * 1000 / ms }'
}

# bench_must DESCRIPTION GOT WANTED: a benchmark of something wrong is worth nothing
bench_must()
{
	# nothing is what a query that failed gives
	[ -n "$2" ] && [ "$2" = "$3" ] || ftc_die "$1: got $2, wanted $3"
}

# The chain is sound, and holds so many entries, all in blocks.
bench_must_verify()
{
	local name=$1 entries=$2

	bench_must "$name: entries" "$(ftc_query "$name" 'SELECT count(*) FROM ftchain.entry')" "$entries"
	bench_must "$name: entries in blocks" \
		"$(ftc_query "$name" "SELECT sum(entries) FROM ftchain.blocks WHERE chain = 'bench' AND held")" "$entries"
	bench_must "$name: faults" "$(ftc_query "$name" "SELECT count(*) FROM ftchain.verify('bench')")" 0
}

# bench_sample SUBJECT SIDE VALUE
bench_sample()
{
	printf '%s\t%s\t%s\n' "$1" "$2" "$3" >>"$BENCH_SAMPLES"
}

# What awk needs to know of samples.
# shellcheck disable=SC2016
BENCH_AWK='
function median(a, n,    i, j, t, b) {
	for (i = 1; i <= n; i++)
		b[i] = a[i]
	for (i = 2; i <= n; i++)
		for (j = i; j > 1 && b[j - 1] > b[j]; j--) {
			t = b[j]; b[j] = b[j - 1]; b[j - 1] = t
		}
	return n % 2 ? b[(n + 1) / 2] : (b[n / 2] + b[n / 2 + 1]) / 2
}
function least(a, n,    i, m) {
	m = a[1]
	for (i = 2; i <= n; i++)
		if (a[i] < m)
			m = a[i]
	return m
}
function greatest(a, n,    i, m) {
	m = a[1]
	for (i = 2; i <= n; i++)
		if (a[i] > m)
			m = a[i]
	return m
}
function figure(x) {
	return x >= 1e6 ? sprintf("%.2f M", x / 1e6) : x >= 1000 ? sprintf("%.0f", x) : sprintf("%.3g", x)
}
function show(side, a, n, unit) {
	printf "    %-40s %10s %s (%s to %s)\n", side, figure(median(a, n)), unit,
		figure(least(a, n)), figure(greatest(a, n))
}
BEGIN { FS = "\t" }
$1 == subject && $2 == side { ours[++nours] = $3 + 0 }
$1 == subject && $2 == peer { theirs[++ntheirs] = $3 + 0 }'

# bench_compare SUBJECT UNIT SIDE PEER [FLOOR]: both sides of a subject
#
# The samples of a round belong together.  More is better where there is a
# floor; without one the ratio is for information.
bench_compare()
{
	local floor=${5:-} status=0

	awk -v subject="$1" -v unit="$2" -v side="$3" -v peer="$4" -v floor="$floor" \
		-v bench="$FTC_SCRIPT" -v results="$BENCH_RESULTS" "$BENCH_AWK"'
		END {
			if (nours == 0 || nours != ntheirs) {
				print "no samples of " subject
				exit 1
			}
			for (i = 1; i <= nours; i++)
				ratio[i] = ours[i] / theirs[i]
			r = median(ours, nours) / median(theirs, nours)
			verdict = floor == "" ? "for information" : r >= floor ? "reached" : "FLOOR MISSED"
			print subject
			show(side, ours, nours, unit)
			show(peer, theirs, ntheirs, unit)
			printf "    ratio %.2f (%.2f to %.2f)%s\n", r, least(ratio, nours), greatest(ratio, nours),
				floor == "" ? "" : ", floor " floor ": " verdict
			if (results != "")
				printf "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%.2f\t%.2f\t%.2f\t%s\t%s\n", bench, subject, side,
					figure(median(ours, nours)), peer, figure(median(theirs, ntheirs)), unit, r,
					least(ratio, nours), greatest(ratio, nours), floor == "" ? "-" : floor, verdict >>results
			exit (verdict == "FLOOR MISSED" ? 3 : 0)
		}' "$BENCH_SAMPLES" || status=$?
	case $status in
		0) ;;
		3) BENCH_MISSED=$((BENCH_MISSED + 1)) ;;
		*) return "$status" ;;
	esac
}

# bench_inform SUBJECT UNIT SIDE
bench_inform()
{
	awk -v subject="$1" -v unit="$2" -v side="$3" -v peer= "$BENCH_AWK"'
		END {
			if (nours == 0)
				exit 1
			print subject
			show(side, ours, nours, unit)
		}' "$BENCH_SAMPLES"
}

# bench_at_most SUBJECT UNIT SIDE MOST
bench_at_most()
{
	local status=0

	awk -v subject="$1" -v unit="$2" -v side="$3" -v most="$4" -v peer= -v bench="$FTC_SCRIPT" \
		-v results="$BENCH_RESULTS" "$BENCH_AWK"'
		END {
			if (nours == 0) {
				print "no samples of " subject
				exit 1
			}
			for (i = 1; i <= nours; i++)
				ratio[i] = ours[i] / most
			r = median(ours, nours) / most
			verdict = r <= 1 ? "reached" : "FLOOR MISSED"
			printf "%s: %s %s, at most %s %s: %s\n", subject, figure(median(ours, nours)), unit, most, unit, verdict
			if (results != "")
				printf "%s\t%s\t%s\t%s\tat most %s %s\t%s\t%s\t%.2f\t%.2f\t%.2f\t%s\t%s\n", bench, subject, side,
					figure(median(ours, nours)), most, unit, most, unit, r,
					least(ratio, nours), greatest(ratio, nours), "<= 1", verdict >>results
			exit (verdict == "FLOOR MISSED" ? 3 : 0)
		}' "$BENCH_SAMPLES" || status=$?
	case $status in
		0) ;;
		3) BENCH_MISSED=$((BENCH_MISSED + 1)) ;;
		*) return "$status" ;;
	esac
}

bench_end()
{
	ftc_note "load $(cut -d ' ' -f 1-3 /proc/loadavg)"
	[ "$BENCH_MISSED" -gt 0 ] || return 0
	ftc_note "$BENCH_MISSED floors missed"
	exit 3
}
