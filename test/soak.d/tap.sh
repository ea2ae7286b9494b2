# shellcheck shell=bash
#
# tap.sh: run one TAP file of test/soak.d, with servers of a variant that is
# built already
#
# soak_tap VARIANT FILE [NAME=VALUE...]: the file's results are added to ours.
#
# To be sourced after test/lib.sh.

soak_tap()
{
	local bin=${FTC_BINDIR[$1]} file=$2 log=$FTC_WORK/log/${2##*/} pgxs
	local passed failed skipped status=0

	shift 2
	ftc_sources
	pgxs=$(dirname "$(dirname "$("$bin/pg_config" --pgxs)")")
	ftc_as_user mkdir -p "$FTC_WORK/tap/tmp_check"
	cd "$FTC_SRC" || return
	ftc_within $((FTC_SOAK_SECONDS + 800)) "$log" "${FTC_AS_USER[@]}" \
		TESTDIR="$FTC_WORK/tap" PATH="$bin:$PATH" PGPORT=65432 TMPDIR="$FTC_WORK/tmp" \
		PG_REGRESS="$pgxs/test/regress/pg_regress" PG_TEST_TIMEOUT_DEFAULT=180 "$@" \
		test/perl/harness -I "$pgxs/test/perl" "test/soak.d/$file" || status=$?
	cd "$FTC_WORK" || return
	ftc_sweep
	cat "$log"
	# what the test says about itself is in its own log
	grep -h '# soak:' "$FTC_WORK/tap/tmp_check/log"/regress_log_* || true

	ftc_read_closing_line "$log"
	if [ "$failed" -eq 0 ] && { [ "$status" -ne 0 ] || [ $((passed + skipped)) -eq 0 ]; }; then
		failed=1
	fi
	FTC_PASSED=$((FTC_PASSED + passed))
	FTC_FAILED=$((FTC_FAILED + failed))
	FTC_SKIPPED=$((FTC_SKIPPED + skipped))
}
