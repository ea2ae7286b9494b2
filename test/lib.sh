# shellcheck shell=bash
#
# lib.sh: what the scripts under test/ share
#
# A script sources this file and gets, in this order: packages, a work
# directory that goes away at exit, a build in a private copy of the PostgreSQL
# installation, and servers of that copy.  Nothing outside the work directory
# changes, except that Debian packages may be installed.
#
#	ftc_packages demo|run|bench	install what is missing
#	ftc_workdir				make the work directory, FTC_WORK
#	ftc_build VARIANT		build and install release or checked
#	ftc_use VARIANT			the servers made from now on are of that variant
#	ftc_server_init NAME [CONF LINE...]
#	ftc_server_start NAME, ftc_server_stop NAME [MODE], ftc_server_kill9 NAME
#	ftc_psql NAME [ARGUMENT...]
#	ftc_wait_for SECONDS DESCRIPTION COMMAND...
#	ftc_counting			end with the line "N passed, N failed, N skipped"
#	ftc_check DESCRIPTION COMMAND..., ftc_same DESCRIPTION GOT WANTED, ...
#
# Settings, from the environment:
#	TMPDIR					where work directories are made
#	FTC_KEEP=1				keep the work directory
#	FTC_WITHOUT=X,Y			what this machine lacks and the tests may leave out
#	FTC_PG_VERSION=N		the major version of PostgreSQL, if several are there
#	FTC_PREBUILT=DIR		take the variants that another script has built

set -Eeuo pipefail

FTC_TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
FTC_SCRIPT=${0##*/}
FTC_WORK=
FTC_SRC=
FTC_USER=
FTC_PG_VERSION=${FTC_PG_VERSION:-}
FTC_KEEP=${FTC_KEEP:-}

# Nothing of the caller's may steer the servers, the clients or the builds.
unset "${!PG@}" MAKEFLAGS MAKELEVEL MFLAGS COPT PROFILE CFLAGS CPPFLAGS LDFLAGS
export LC_ALL=C.UTF-8
unset LANG LANGUAGE
umask 022


# ---- messages and the end of the script

ftc_note()
{
	printf '%s: %s\n' "$FTC_SCRIPT" "$*"
}

ftc_die()
{
	printf '%s: %s\n' "$FTC_SCRIPT" "$*" >&2
	exit 1
}

FTC_AT_EXIT=()

# A function to call at the end, however the script ends; the last one first.
ftc_at_exit()
{
	FTC_AT_EXIT+=("$1")
}

ftc_exit()
{
	local status=$? i

	trap '' HUP INT TERM
	trap - EXIT ERR
	set +e
	cd /
	for ((i = ${#FTC_AT_EXIT[@]} - 1; i >= 0; i--)); do
		"${FTC_AT_EXIT[i]}"
	done
	if [ -n "$FTC_COUNTING" ]; then
		ftc_closing_line "$status" || status=1
	fi
	exit "$status"
}

trap 'printf "%s: %s:%d: failed: %s\n" "$FTC_SCRIPT" "${BASH_SOURCE[0]##*/}" "$LINENO" "$BASH_COMMAND" >&2' ERR
trap ftc_exit EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM


# ---- results

FTC_COUNTING=
FTC_PASSED=0
FTC_FAILED=0
FTC_SKIPPED=0

# This script counts, and says so in its last line.
ftc_counting()
{
	FTC_COUNTING=1
}

# The closing line; false if anything failed or nothing was tested.
ftc_closing_line()
{
	local status=$1

	if [ "$status" -ne 0 ] && [ "$FTC_FAILED" -eq 0 ]; then
		ftc_note "ended early with status $status"
		FTC_FAILED=1
	fi
	printf '%d passed, %d failed, %d skipped\n' "$FTC_PASSED" "$FTC_FAILED" "$FTC_SKIPPED"
	[ "$FTC_FAILED" -eq 0 ] && [ "$FTC_PASSED" -gt 0 ]
}

ftc_ok()
{
	FTC_PASSED=$((FTC_PASSED + 1))
	printf 'ok - %s\n' "$*"
}

ftc_not_ok()
{
	FTC_FAILED=$((FTC_FAILED + 1))
	printf 'not ok - %s\n' "$*"
}

ftc_skip()
{
	FTC_SKIPPED=$((FTC_SKIPPED + 1))
	printf 'skipped - %s\n' "$*"
}

ftc_indented()
{
	printf '%s\n' "$1" | sed 's/^/    /'
}

# ftc_check DESCRIPTION COMMAND...: the command, in a subshell, must succeed
ftc_check()
{
	local description=$1 output

	shift
	if output=$("$@" 2>&1); then
		ftc_ok "$description"
	else
		ftc_not_ok "$description"
		ftc_indented "$output"
	fi
}

# ftc_same DESCRIPTION GOT WANTED
ftc_same()
{
	if [ "$2" = "$3" ]; then
		ftc_ok "$1"
	else
		ftc_not_ok "$1"
		printf '    got:    %s\n    wanted: %s\n' "$2" "$3"
	fi
}

# ftc_lacks CAPABILITY DESCRIPTION: a test that cannot run here fails, unless
# the one who runs it has said that he knows
ftc_lacks()
{
	case ",${FTC_WITHOUT:-}," in
		*",$1,"*) ftc_skip "$2 (FTC_WITHOUT=$1)" ;;
		*) ftc_not_ok "$2: no $1 here; FTC_WITHOUT=$1 leaves this out" ;;
	esac
}


# ftc_read_closing_line LOG: the results of another program, from its last line
# "N passed, N failed", into passed, failed and skipped of the caller
# shellcheck disable=SC2034
ftc_read_closing_line()
{
	local line

	passed=0 failed=0 skipped=0
	line=$(grep -E '^[0-9]+ passed, [0-9]+ failed(, [0-9]+ skipped)?$' "$1" | tail -n 1) || true
	[ -n "$line" ] || return 0
	read -r passed _ failed _ skipped _ <<<"$line"
	skipped=${skipped:-0}
}


# ---- time

ftc_now_ms()
{
	printf '%d' $((${EPOCHREALTIME/[.,]/} / 1000))
}

# ftc_timed DESCRIPTION COMMAND...: say how long it took
ftc_timed()
{
	local description=$1 start ms status=0

	shift
	start=$(ftc_now_ms)
	"$@" || status=$?
	ms=$(($(ftc_now_ms) - start))
	printf '%s: %d.%03d s\n' "$description" $((ms / 1000)) $((ms % 1000))
	return "$status"
}

# ftc_wait_for SECONDS DESCRIPTION COMMAND...: until the command succeeds
#
# The only way to wait in a test.  What the command last printed is shown if
# it does not succeed in time.
ftc_wait_for()
{
	local seconds=$1 description=$2 deadline output=

	shift 2
	deadline=$(($(ftc_now_ms) + seconds * 1000))
	until output=$("$@" 2>&1); do
		if [ "$(ftc_now_ms)" -ge "$deadline" ]; then
			ftc_note "waited $seconds s in vain for $description"
			[ -z "$output" ] || ftc_indented "$output"
			return 1
		fi
		sleep 0.1
	done
}

FTC_CHILD=

# ftc_within SECONDS LOG COMMAND...: end it and all that it has started when the
# time is over, or when this script is interrupted
ftc_within()
{
	local seconds=$1 log=$2 status=0

	shift 2
	ftc_at_exit ftc_child_end
	# In the background: of all that a script can do only wait ends at once
	# when a signal comes.  timeout passes the signal on.
	timeout --kill-after=10 "$seconds" "$@" </dev/null >"$log" 2>&1 &
	FTC_CHILD=$!
	wait "$FTC_CHILD" || status=$?
	FTC_CHILD=
	case $status in
		124 | 137) printf 'not done in %d seconds\n' "$seconds" >>"$log" ;;
	esac
	return "$status"
}

ftc_child_end()
{
	if [ -n "$FTC_CHILD" ]; then
		kill -TERM "$FTC_CHILD" 2>/dev/null
		wait "$FTC_CHILD"
		FTC_CHILD=
	fi
}


# ---- packages

FTC_CREATECLUSTER=/etc/postgresql-common/createcluster.d/ftchain-tests.conf
FTC_POLICY=/usr/sbin/policy-rc.d
FTC_MARK='made by the tests of ftchain while they install packages'
FTC_APT_UPDATED=
FTC_APT_REFUSED=
FTC_APT_WANTED=()

ftc_as_root()
{
	if [ "$EUID" -eq 0 ]; then
		"$@"
	else
		sudo "$@"
	fi
}

# Empty if the package is not installed.
ftc_package_version()
{
	{ dpkg-query -W -f='${db:Status-Status} ${Version}\n' "$1" 2>/dev/null || true; } |
		sed -n 's/^installed //p;T;q'
}

ftc_package_installed()
{
	[ -n "$(ftc_package_version "$1")" ]
}

# Does the archive have that version of a package?
ftc_package_offered()
{
	apt-cache madison "$1" 2>/dev/null | awk -F ' *[|] *' '{print $2}' | grep -Fqx "$2"
}

ftc_package_list()
{
	printf '%s\n' gcc make libc6-dev libisal-dev libjansson-dev libssl-dev libpq-dev perl procps \
		"postgresql-$FTC_PG_VERSION" "postgresql-server-dev-$FTC_PG_VERSION"
	case $1 in
		demo) ;;
		bench) printf '%s\n' "postgresql-$FTC_PG_VERSION-pgq3" pgqd "postgresql-$FTC_PG_VERSION-pglogical" ;;
		run) printf '%s\n' clang iproute2 libclang-rt-dev libcmocka-dev libdbd-pg-perl libipc-run-perl nftables pg-bsd-indent ;;
		*) ftc_die "no package list $1" ;;
	esac
}

# The newest PostgreSQL that satisfies a test; empty if none does.
ftc_newest_postgresql()
{
	local version

	for version in 19 18 17 16 15; do
		if "$@" "postgresql-$version"; then
			printf '%s' "$version"
			return
		fi
	done
}

ftc_package_known()
{
	apt-cache show "$1" >/dev/null 2>&1
}

# ftc_apt_update PACKAGE...: before those are installed
ftc_apt_update()
{
	ftc_as_root true </dev/null || ftc_die "missing: $*; only root or a sudoer can install them"
	[ -z "$FTC_APT_UPDATED" ] || return 0
	FTC_APT_UPDATED=1
	ftc_note 'updating the package lists'
	# An archive that is not needed may be out of reach.
	ftc_as_root apt-get -qq update </dev/null || ftc_note 'not all package lists could be updated'
}

# What apt would do; false if that touches a server that is installed.
#
# The upgrade of a server package restarts its clusters, which are not ours.
ftc_apt_is_harmless()
{
	local plan

	plan=$(apt-get -s -y --no-install-recommends --no-remove install "$@" 2>&1) || {
		FTC_APT_REFUSED=$plan
		return 1
	}
	if FTC_APT_REFUSED=$(grep -E '^(Inst postgresql-[0-9]+ \[|Remv postgresql)' <<<"$plan"); then
		return 1
	fi
}

# FTC_APT_WANTED: the missing packages, in versions that fit what is installed
#
# Headers as new as the server are best: newer ones may promise functions that
# it does not have.  Where the archive no longer has them take newer ones; the
# private installation then gets a server of that version.
ftc_apt_choose()
{
	local missing=("$@") server libpq p wanted=()

	server=$(ftc_package_version "postgresql-$FTC_PG_VERSION")
	libpq=$(ftc_package_version libpq5)
	for p in "${missing[@]}"; do
		case $p in
			postgresql-server-dev-*) ! ftc_package_offered "$p" "$server" || p=$p=$server ;;
			libpq-dev) ! ftc_package_offered "$p" "$libpq" || p=$p=$libpq ;;
		esac
		wanted+=("$p")
	done

	FTC_APT_WANTED=("${wanted[@]}")
	! ftc_apt_is_harmless "${FTC_APT_WANTED[@]}" || return 0
	FTC_APT_WANTED=("${wanted[@]/#libpq-dev=*/libpq-dev}")
	! ftc_apt_is_harmless "${FTC_APT_WANTED[@]}" || return 0
	# apt likes to upgrade what comes from the same source; so say what stays.
	FTC_APT_WANTED=("${missing[@]}" ${server:+"postgresql-$FTC_PG_VERSION=$server"})
	! ftc_apt_is_harmless "${FTC_APT_WANTED[@]}" || return 0
	ftc_die "cannot install ${missing[*]} without harm to what is installed:
$FTC_APT_REFUSED"
}

# While packages are installed: no new cluster, and no cluster started.
#
# Debian's postgresql-N makes and starts a cluster "main", unless told not to,
# and may start others on the way.
ftc_clusters_hold()
{
	ftc_at_exit ftc_clusters_release
	ftc_as_root mkdir -p "${FTC_CREATECLUSTER%/*}"
	printf '%s\n' "# $FTC_MARK" 'create_main_cluster = false' |
		ftc_as_root tee "$FTC_CREATECLUSTER" >/dev/null
	# A policy that is there already, as in containers, allows no more.
	if [ ! -e "$FTC_POLICY" ]; then
		# shellcheck disable=SC2016
		printf '%s\n' '#!/bin/sh' "# $FTC_MARK" \
			'case $1 in postgresql*) exit 101 ;; esac' 'exit 0' |
			ftc_as_root tee "$FTC_POLICY" >/dev/null
		ftc_as_root chmod 755 "$FTC_POLICY"
	fi
}

ftc_clusters_release()
{
	if [ -e "$FTC_CREATECLUSTER" ]; then
		ftc_as_root rm -f "$FTC_CREATECLUSTER"
		# The package does not have this directory.
		ftc_as_root rmdir --ignore-fail-on-non-empty "${FTC_CREATECLUSTER%/*}"
	fi
	if grep -qs "$FTC_MARK" "$FTC_POLICY"; then
		ftc_as_root rm -f "$FTC_POLICY"
	fi
}

ftc_clusters()
{
	(shopt -s nullglob; printf '%s\n' /etc/postgresql/*/*)
}

ftc_apt_install()
{
	local log clusters status=0

	ftc_note "installing $*"
	log=$(mktemp)
	clusters=$(ftc_clusters)
	ftc_clusters_hold
	ftc_as_root env DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 \
		apt-get -qq -y --no-install-recommends --no-remove \
		-o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold \
		-o DPkg::Lock::Timeout=300 install "$@" </dev/null >"$log" 2>&1 || status=$?
	ftc_clusters_release
	[ "$status" -eq 0 ] || tail -n 40 "$log" >&2
	rm -f "$log"
	[ "$status" -eq 0 ] || ftc_die 'packages could not be installed'
	[ "$clusters" = "$(ftc_clusters)" ] || ftc_die 'installing packages has changed the clusters of this machine'
}

# Debian 12 is the last to have pg-bsd-indent.  What needs it looks for itself.
ftc_package_given_up()
{
	[ "$1" = pg-bsd-indent ] && compgen -G '/var/lib/apt/lists/*_Packages*' >/dev/null &&
		! ftc_package_known "$1"
}

ftc_packages_missing()
{
	local p

	for p in $(ftc_package_list "$1"); do
		ftc_package_installed "$p" || ftc_package_given_up "$p" || printf '%s\n' "$p"
	done
}

# ftc_packages demo|run|bench: install what is missing, from Debian packages
ftc_packages()
{
	local missing=()

	if ! command -v apt-get || ! command -v dpkg-query; then
		ftc_die 'this needs Debian, or a system made from it'
	fi >/dev/null

	[ -n "$FTC_PG_VERSION" ] || FTC_PG_VERSION=$(ftc_newest_postgresql ftc_package_installed)
	if [ -z "$FTC_PG_VERSION" ]; then
		ftc_apt_update postgresql
		FTC_PG_VERSION=$(ftc_newest_postgresql ftc_package_known)
	fi
	[ -n "$FTC_PG_VERSION" ] || ftc_die 'no package of PostgreSQL 15 to 19 is to be had'

	mapfile -t missing < <(ftc_packages_missing "$1")
	[ ${#missing[@]} -gt 0 ] || return 0
	ftc_apt_update "${missing[@]}"
	mapfile -t missing < <(ftc_packages_missing "$1")
	[ ${#missing[@]} -gt 0 ] || return 0
	ftc_apt_choose "${missing[@]}"
	ftc_apt_install "${FTC_APT_WANTED[@]}"
}


# ---- the unprivileged user and the work directory

# A server does not run as root.  Every command that builds, tests or serves
# goes through here.
ftc_as_user()
{
	"${FTC_AS_USER[@]}" "$@"
}

# FTC_AS_USER: words to put before a command, where it takes no function
FTC_AS_USER=()

ftc_choose_user()
{
	FTC_USER=$(id -un)
	FTC_AS_USER=(env)
	if [ "$EUID" -eq 0 ]; then
		FTC_USER=nobody
		! id postgres >/dev/null 2>&1 || FTC_USER=postgres
		FTC_AS_USER=(setpriv --reuid="$FTC_USER" --regid="$(id -g "$FTC_USER")" --init-groups
			env USER="$FTC_USER" LOGNAME="$FTC_USER")
	fi
}

# ftc_workdir: make FTC_WORK, and be in it
ftc_workdir()
{
	local base

	ftc_choose_user
	for base in "${TMPDIR:-/tmp}" /tmp; do
		# make has no quotes, and the address of a socket is short
		[[ $base =~ ^/[A-Za-z0-9_./-]{1,40}$ ]] || continue
		FTC_WORK=$(cd "$base" && mktemp -d "$(pwd -P)/ftchain.XXXXXX") || continue
		[ "$EUID" -ne 0 ] || chown "$FTC_USER:" "$FTC_WORK"
		# Root's TMPDIR may be closed to others.
		! ftc_as_user test -w "$FTC_WORK" || break
		rmdir "$FTC_WORK"
		FTC_WORK=
	done
	[ -n "$FTC_WORK" ] || ftc_die "user $FTC_USER can have no work directory"

	ftc_at_exit ftc_workdir_remove
	ftc_at_exit ftc_servers_end
	cd "$FTC_WORK"
	FTC_SRC=$FTC_WORK/src
	ftc_as_user mkdir home tmp src build pg data socket log
	FTC_AS_USER+=(HOME="$FTC_WORK/home")
	# What the servers and tests leave in temporary files goes away as well.
	export TMPDIR=$FTC_WORK/tmp
	ulimit -S -c 0
}

ftc_workdir_remove()
{
	if [ -n "$FTC_KEEP" ]; then
		ftc_note "kept $FTC_WORK"
	elif ! rm -rf "${FTC_WORK:?}" 2>/dev/null; then
		# A test may have left what is read-only.
		chmod -R u+rwX "$FTC_WORK"
		rm -rf "$FTC_WORK"
	fi
}

# Processes of programs in the work directory, and those have we started.
ftc_our_processes()
{
	# find complains of the processes of others
	{ find /proc -maxdepth 2 -path '/proc/[0-9]*/exe' -lname "${FTC_WORK:?}/*" 2>/dev/null || true; } |
		cut -d/ -f3
}

# End what a test has left behind.
ftc_sweep()
{
	local try pids

	for ((try = 0; try < 100; try++)); do
		mapfile -t pids < <(ftc_our_processes)
		[ ${#pids[@]} -gt 0 ] || return 0
		kill -KILL "${pids[@]}" 2>/dev/null || true
		sleep 0.1
	done
	ftc_note "processes are left: ${pids[*]}"
}


# ---- builds, each in a private installation

declare -A FTC_BINDIR=() FTC_BUILT=()
FTC_BIN=
FTC_MAKE=()

# The sources without what was built in their directory, in FTC_SRC.
#
# The checkout may be read-only, and of another user.
ftc_sources()
{
	[ ! -e "$FTC_SRC/Makefile" ] || return 0
	tar -C "$FTC_TOP" --mode=u+rwX --exclude-vcs --exclude='*.o' --exclude='*.bc' --exclude='*.so' \
		--exclude='./sql/ftchain--*.sql' --exclude=./ftchain_verify --exclude=./tmp_check --exclude=./tmp_check_iso \
		--exclude=./results --exclude=./output_iso -cf - . |
		ftc_as_user tar -C "$FTC_SRC" --no-same-owner -xf -
}

# FTC_MAKE: make as the user, in the build directory of a variant
ftc_make_command()
{
	local variant=$1 flags

	case $variant in
		release) flags=(CC=gcc) ;;
		checked) flags=(CC=clang COPT='-DUSE_ASSERT_CHECKING -DFTC_FAILPOINTS') ;;
		*) ftc_die "no variant $variant" ;;
	esac
	FTC_MAKE=("${FTC_AS_USER[@]}" make -s --no-print-directory
		-C "$FTC_WORK/build/$variant" -f "$FTC_SRC/Makefile"
		PG_CONFIG="${FTC_BINDIR[$variant]}/pg_config" STRICT=1 with_llvm=no "${flags[@]}")
}

# The server package that fits the headers, where they are newer than the
# server installed here: into the private installation only.
ftc_private_server()
{
	local to=$1 server headers package

	server=$(ftc_package_version "postgresql-$FTC_PG_VERSION")
	headers=$(ftc_package_version "postgresql-server-dev-$FTC_PG_VERSION")
	[ "$server" != "$headers" ] || return 0
	ftc_note "the server here is $server, the headers are $headers: unpacking postgresql-$FTC_PG_VERSION $headers"
	mkdir "$to.deb"
	(cd "$to.deb" && apt-get -qq -o APT::Sandbox::User=root download \
		"postgresql-$FTC_PG_VERSION=$headers" "postgresql-client-$FTC_PG_VERSION=$headers" </dev/null)
	for package in "$to.deb"/*.deb; do
		ftc_as_user dpkg-deb -x "$package" "$to"
	done
	rm -rf "$to.deb"
}

# A copy of the server's own tree: programs find their libraries and shared
# files relative to themselves.  So variants stand side by side, and nothing is
# installed into the system.
ftc_private()
{
	local variant=$1 to=$FTC_WORK/pg/$1 config=/usr/lib/postgresql/$FTC_PG_VERSION/bin/pg_config
	local bin include

	[ -x "$config" ] || ftc_die "no $config"
	bin=$("$config" --bindir)
	include=$("$config" --includedir)
	ftc_as_user mkdir -p "$to" "$to${include%/*}"
	tar -C / --exclude=bitcode -cf - "${bin#/}" "$("$config" --pkglibdir | cut -c 2-)" \
		"$("$config" --sharedir | cut -c 2-)" | ftc_as_user tar -C "$to" --no-same-owner -xf -
	ftc_as_user ln -s "$include" "$to$include"
	ftc_private_server "$to"

	[ "$("$to$bin/pg_config" --pkglibdir)" = "$to$("$config" --pkglibdir)" ] ||
		ftc_die 'a copy of the server does not find its own files'
	FTC_BINDIR[$variant]=$to$bin
}

# ftc_prepare VARIANT: all that make needs, FTC_MAKE included
ftc_prepare()
{
	local variant=$1

	if [ -z "${FTC_BINDIR[$variant]:-}" ]; then
		ftc_sources
		ftc_private "$variant"
		ftc_as_user mkdir "$FTC_WORK/build/$variant"
	fi
	ftc_make_command "$variant"
}

# ftc_build VARIANT: build out of the tree and install privately
#
#	release		gcc, as people use it
#	checked		clang, with assertions and failpoints
ftc_build()
{
	local variant=$1 log=$FTC_WORK/log/build-$1

	if [ -n "${FTC_PREBUILT:-}" ] && [ -d "$FTC_PREBUILT/pg/$variant" ]; then
		FTC_BINDIR[$variant]=$FTC_PREBUILT/pg/$variant/usr/lib/postgresql/$FTC_PG_VERSION/bin
		return
	fi
	ftc_prepare "$variant"
	if [ -z "${FTC_BUILT[$variant]:-}" ]; then
		FTC_BUILT[$variant]=yes
		if ! { "${FTC_MAKE[@]}" -j "$(nproc)" all && "${FTC_MAKE[@]}" install; } >"$log" 2>&1; then
			FTC_BUILT[$variant]=no
			tail -n 60 "$log"
		fi
	fi
	if [ "${FTC_BUILT[$variant]}" = no ]; then
		ftc_note "variant $variant cannot be built"
		return 1
	fi
}

# ftc_use VARIANT
ftc_use()
{
	FTC_BIN=${FTC_BINDIR[$1]:-}
	[ -n "$FTC_BIN" ] || ftc_die "variant $1 is not built"
}


# ---- servers

declare -A FTC_PORT=() FTC_SERVER_BIN=()
FTC_LAST_PORT=$((20000 + RANDOM % 10000))

# Below the range that the system takes for outgoing connections.
ftc_next_port()
{
	local try

	for ((try = 0; try < 1000; try++)); do
		FTC_LAST_PORT=$((FTC_LAST_PORT < 30000 ? FTC_LAST_PORT + 1 : 20000))
		if ! (exec 3<>"/dev/tcp/127.0.0.1/$FTC_LAST_PORT") 2>/dev/null; then
			return
		fi
	done
	ftc_die 'no free port'
}

ftc_server_data()
{
	printf '%s' "$FTC_WORK/data/$1"
}

# The address for others, by TCP; there a password is needed.
ftc_server_port()
{
	printf '%s' "${FTC_PORT[$1]}"
}

# ftc_server_init NAME [CONF LINE...]
#
# Superuser postgres, who needs no password on the socket: its directory is
# closed to other users.
ftc_server_init()
{
	local name=$1 data=$FTC_WORK/data/$1 socket=$FTC_WORK/socket/$1 log=$FTC_WORK/log/$1.initdb

	shift
	[ -n "$FTC_BIN" ] || ftc_die 'ftc_use first'
	ftc_next_port
	FTC_PORT[$name]=$FTC_LAST_PORT
	FTC_SERVER_BIN[$name]=$FTC_BIN
	ftc_as_user mkdir -m 700 "$socket"
	ftc_as_user "$FTC_BIN/initdb" -D "$data" -U postgres -A trust --encoding=UTF8 --no-locale \
		--no-sync >"$log" 2>&1 || {
		cat "$log"
		return 1
	}
	ftc_as_user tee "$data/pg_hba.conf" >/dev/null <<-'END'
		local	all			all					trust
		local	replication	all					trust
		host	all			all	127.0.0.1/32	scram-sha-256
		host	replication	all	127.0.0.1/32	scram-sha-256
	END
	ftc_server_conf "$name" \
		"listen_addresses = '127.0.0.1'" \
		"port = $FTC_LAST_PORT" \
		"unix_socket_directories = '$socket'" \
		'fsync = on' \
		'restart_after_crash = on' \
		"shared_preload_libraries = 'ftchain'" \
		'max_worker_processes = 32' \
		'password_encryption = scram-sha-256' \
		"cluster_name = '$name'" \
		"log_line_prefix = '%m [%p] %q%a '" \
		"$@"
}

# ftc_server_conf NAME LINE...: add to postgresql.conf; the last one counts
ftc_server_conf()
{
	local name=$1

	shift
	printf '%s\n' "$@" | ftc_as_user tee -a "$FTC_WORK/data/$name/postgresql.conf" >/dev/null
}

ftc_server_log()
{
	printf '%s' "$FTC_WORK/log/$1.log"
}

ftc_server_start()
{
	local name=$1 log=$FTC_WORK/log/$1.log

	if ! ftc_as_user "${FTC_SERVER_BIN[$name]}/pg_ctl" -D "$FTC_WORK/data/$name" -l "$log" \
		-s -w -t 60 start </dev/null >"$FTC_WORK/log/$name.pg_ctl" 2>&1; then
		ftc_note "server $name does not start"
		cat "$FTC_WORK/log/$name.pg_ctl"
		tail -n 20 "$log"
		return 1
	fi
}

# ftc_server_stop NAME [MODE]: fast, unless told otherwise
ftc_server_stop()
{
	local name=$1 mode=${2:-fast}

	[ -e "$FTC_WORK/data/$name/postmaster.pid" ] || return 0
	ftc_as_user "${FTC_SERVER_BIN[$name]}/pg_ctl" -D "$FTC_WORK/data/$name" -m "$mode" \
		-s -w -t 60 stop >"$FTC_WORK/log/$name.pg_ctl" 2>&1 || {
		cat "$FTC_WORK/log/$name.pg_ctl"
		return 1
	}
}

ftc_server_pid()
{
	head -n 1 "$FTC_WORK/data/$1/postmaster.pid"
}

# All processes of a server: they live in its data directory, which is ours.
ftc_server_processes()
{
	local directory

	for directory in /proc/[0-9]*; do
		if [ "$directory/cwd" -ef "$FTC_WORK/data/$1" ] 2>/dev/null; then
			printf '%s\n' "${directory#/proc/}"
		fi
	done
}

# ftc_server_kill9 NAME: as if the machine had lost its power, but for the
# system's cache
#
# Not back before all processes are gone, so that it can be started again.
ftc_server_kill9()
{
	local name=$1 pid try pids

	pid=$(ftc_server_pid "$name")
	[ "/proc/$pid/cwd" -ef "$FTC_WORK/data/$name" ] || ftc_die "process $pid is not the server $name"
	# The postmaster first, or it would see its children die and recover.
	kill -KILL "$pid"
	for ((try = 0; try < 300; try++)); do
		mapfile -t pids < <(ftc_server_processes "$name")
		[ ${#pids[@]} -gt 0 ] || break
		kill -KILL "${pids[@]}" 2>/dev/null || true
		sleep 0.1
	done
	[ ${#pids[@]} -eq 0 ] || ftc_die "processes of server $name outlive SIGKILL: ${pids[*]}"

	# Until init has taken note of its end the postmaster seems to hold its lock
	# files.  Some containers have an init that never does.
	for ((try = 0; try < 50; try++)); do
		[ -e "/proc/$pid" ] || return 0
		sleep 0.1
	done
	rm -f "$FTC_WORK/data/$name/postmaster.pid" "$FTC_WORK/socket/$name"/.s.PGSQL.*
}

# ftc_psql NAME [ARGUMENT...]: in database postgres, unless -d says otherwise
ftc_psql()
{
	local name=$1

	shift
	ftc_as_user "${FTC_SERVER_BIN[$name]}/psql" -X -q -v ON_ERROR_STOP=1 \
		-h "$FTC_WORK/socket/$name" -p "${FTC_PORT[$name]}" -U postgres -d postgres "$@"
}

# ftc_query NAME SQL [ARGUMENT...]: the bare answer
ftc_query()
{
	local name=$1 sql=$2

	shift 2
	ftc_psql "$name" -A -t "$@" -c "$sql"
}

# For ftc_wait_for: does the query answer t?
ftc_query_true()
{
	local answer

	answer=$(ftc_query "$@") || return
	printf '%s\n' "$answer"
	[ "$answer" = t ]
}

ftc_servers_end()
{
	local name

	for name in "${!FTC_PORT[@]}"; do
		ftc_server_stop "$name" immediate
	done
	ftc_sweep
}
