/*-------------------------------------------------------------------------
 *
 * peer.c
 *	  Connections to other databases.
 *
 *		CLOSED -> CONNECTING -> IDLE -> BUSY -> IDLE ...; any failure -> CLOSED
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <poll.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "catalog/pg_user_mapping.h"
#include "commands/defrem.h"
#include "foreign/foreign.h"
#include "libpq-fe.h"
#ifdef HAVE_LIBPQ_BE_FE_HELPERS
#include "libpq/libpq-be-fe-helpers.h"
#endif
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "port/pg_bswap.h"
#include "storage/fd.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "clock.h"
#include "compat.h"
#include "datum.h"
#include "guc.h"
#include "peer.h"
#include "worker.h"

#ifndef HAVE_LIBPQ_BE_FE_HELPERS
/* What the header above has, for early minor releases of 15. */
static inline void
libpqsrv_connect_prepare(void)
{
	if (!AcquireExternalFD())
		ereport(ERROR,
				errcode(ERRCODE_SQLCLIENT_UNABLE_TO_ESTABLISH_SQLCONNECTION),
				errmsg("could not establish connection"),
				errdetail("There are too many open files on the local server."),
				errhint("Raise the server's max_files_per_process and/or \"ulimit -n\" limits."));
}

static inline void
libpqsrv_disconnect(PGconn *conn)
{
	if (conn == NULL)
		return;
	ReleaseExternalFD();
	PQfinish(conn);
}
#endif

const FtcCall ftc_call_identity = {
	.sql = "SELECT * FROM ftchain.peer_identity($1::int4, $2::bytea)",
	.most = FTC_ANSWER_SHORT,
};

const FtcCall ftc_call_genesis = {
	.sql = "SELECT ftchain.peer_genesis($1::text)",
	.most = FTC_ANSWER_LONG,
};

const FtcCall ftc_call_hello = {
	.sql = "SELECT * FROM ftchain.peer_hello($1::int4, $2::bytea, $3::bytea)",
	.most = FTC_ANSWER_SHORT,
};

const FtcCall ftc_call_receive = {
	.sql = "SELECT * FROM ftchain.peer_receive($1::bytea, $2::bytea, $3::bytea, $4::bytea[], $5::bytea)",
	.most = FTC_ANSWER_SHORT,
};

const FtcCall ftc_call_stream = {
	.sql = "SELECT * FROM ftchain.peer_stream($1::int4, $2::bytea, $3::int4)",
	.most = FTC_ANSWER_SHORT,
};

const FtcCall ftc_call_presence = {
	.sql = "SELECT * FROM ftchain.peer_presence($1::int4, $2::bytea, $3::int8, $4::int8, $5::int8, $6::bytea)",
	.most = FTC_ANSWER_SHORT,
};

const FtcCall ftc_call_blocks = {
	.sql = "SELECT block, stored FROM ftchain.peer_blocks($1::bytea, $2::bytea[], $3::int4)",
	.most = FTC_ANSWER_LONG,
};

const FtcCall ftc_call_copies = {
	.sql = "SELECT answer FROM ftchain.peer_copies($1::bytea, $2::int4, $3::int8[], $4::int8)",
	.most = FTC_ANSWER_COPIES,
};

const FtcCall ftc_call_block = {
	.sql = "SELECT block, stored FROM ftchain.peer_block($1::bytea, $2::bytea)",
	.most = FTC_ANSWER_LONG,
};

/* besides the bytes that are asked for: statements of 10000 members */
const FtcCall ftc_call_body = {
	.sql = "SELECT total, bytes, stored FROM ftchain.peer_body($1::bytea, $2::bytea, $3::int4, $4::int8, $5::int4)",
	.most = FTC_ANSWER_STATEMENTS,
};

const FtcCall ftc_call_prove = {
	.sql = "SELECT answer, signature, kept FROM ftchain.peer_prove($1::bytea, $2::bytea, $3::bytea, $4::int4, $5::bytea)",
	.most = FTC_ANSWER_SHORT,
};

const FtcCall ftc_call_shard = {
	.sql = "SELECT * FROM ftchain.peer_shard($1::bytea, $2::bytea, $3::int4, $4::bytea)",
	.most = FTC_ANSWER_LONG,
};

/* ----------------------------------------------------------------
 *		Options
 * ----------------------------------------------------------------
 */

#define OPTIONS_MAX 64
#define SILENCE_MS 2500			/* two of the kernel's probes may be lost */

/* Rises when a server or a user mapping changes. */
static uint64 options_version = 1;

static void
options_changed(Datum arg, int cache, uint32 hash)
{
	options_version++;
}

static void
watch_options(void)
{
	static bool watching = false;

	if (watching)
		return;
	CacheRegisterSyscacheCallback(FOREIGNSERVEROID, options_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(USERMAPPINGOID, options_changed, (Datum) 0);
	watching = true;
}

bool
ftc_peer_is_stale(const FtcPeer *peer)
{
	return peer->phase != FTC_PEER_CLOSED && peer->options != options_version;
}

typedef struct Options
{
	const char *keywords[OPTIONS_MAX + 1];
	const char *values[OPTIONS_MAX + 1];
	int			n;
} Options;

static void
set_option(Options *options, const char *keyword, const char *value)
{
	if (options->n < OPTIONS_MAX)
	{
		options->keywords[options->n] = keyword;
		options->values[options->n++] = value;
	}
}

/* Empty if it is not given. */
static const char *
get_option(const Options *options, const char *keyword)
{
	for (int i = 0; i < options->n; i++)
		if (strcmp(options->keywords[i], keyword) == 0)
			return options->values[i];
	return "";
}

static bool
has_option(const Options *options, const char *keyword)
{
	return get_option(options, keyword)[0] != '\0';
}

static void
default_option(Options *options, const char *keyword, const char *value)
{
	if (!has_option(options, keyword))
		set_option(options, keyword, value);
}

/* Known to libpq, not for debugging, not ours to set, blessed by the server. */
static bool
is_connection_option(const char *name)
{
	static PQconninfoOption *known = NULL;

	if (known == NULL)
		known = PQconndefaults();
	if (known == NULL)
		ereport(ERROR,
				errcode(ERRCODE_FDW_OUT_OF_MEMORY),
				errmsg("out of memory"));
	for (PQconninfoOption *option = known; option->keyword != NULL; option++)
		if (strcmp(option->keyword, name) == 0)
		{
			if (strchr(option->dispchar, 'D') != NULL || strcmp(name, "client_encoding") == 0)
				return false;
#ifdef HAVE_LIBPQSRV_PROXY_OPTION
			if (!libpqsrv_is_valid_proxy_option(name))
				return false;
#endif
			return true;
		}
	return false;
}

/* Such files are read in the name of this server's operating system user. */
static bool
names_secret_file(const char *option)
{
	return strcmp(option, "sslcert") == 0 || strcmp(option, "sslkey") == 0 ||
		strcmp(option, "passfile") == 0 || strcmp(option, "service") == 0 ||
		strcmp(option, "servicefile") == 0;
}

static void
add_options(Options *options, List *list, bool trusted)
{
	ListCell   *cell;

	foreach(cell, list)
	{
		DefElem    *def = lfirst_node(DefElem, cell);

		if (!is_connection_option(def->defname))
			continue;
		if (!trusted && names_secret_file(def->defname))
			ereport(ERROR,
					errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					errmsg("option \"%s\" is for superusers", def->defname),
					errhint("A superuser may own the foreign server, or set the option in the user mapping."));
		set_option(options, def->defname, defGetString(def));
	}
}

/* Its validator lets only superusers set what we trust in a mapping. */
static bool
is_postgres_fdw(const ForeignServer *server)
{
	ForeignDataWrapper *wrapper = GetForeignDataWrapper(server->fdwid);
	char	   *validator = OidIsValid(wrapper->fdwvalidator) ? get_func_name(wrapper->fdwvalidator) : NULL;

	return validator != NULL && strcmp(validator, "postgres_fdw_validator") == 0;
}

static bool
password_is_required(const UserMapping *mapping, bool trusted)
{
	ListCell   *cell;

	if (superuser_arg(mapping->userid))
		return false;
	foreach(cell, mapping->options)
	{
		DefElem    *def = lfirst_node(DefElem, cell);

		if (trusted && strcmp(def->defname, "password_required") == 0)
			return defGetBoolean(def);
	}
	return true;
}

static void
need_usage(ForeignServer *server, Oid role)
{
	AclResult	result = object_aclcheck(ForeignServerRelationId, server->serverid, role, ACL_USAGE);

	if (result != ACLCHECK_OK)
		ereport(ERROR,
				errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				errmsg("permission denied for foreign server \"%s\"", server->servername),
				errhint("GRANT USAGE ON FOREIGN SERVER \"%s\" TO \"%s\";", server->servername,
						GetUserNameFromId(role, false)));
}

static UserMapping *
need_mapping(ForeignServer *server, Oid role)
{
	HeapTuple	tuple = SearchSysCache2(USERMAPPINGUSERSERVER, ObjectIdGetDatum(role),
										ObjectIdGetDatum(server->serverid));

	if (!HeapTupleIsValid(tuple))
		tuple = SearchSysCache2(USERMAPPINGUSERSERVER, ObjectIdGetDatum(InvalidOid),
								ObjectIdGetDatum(server->serverid));
	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				errcode(ERRCODE_UNDEFINED_OBJECT),
				errmsg("there is no user mapping for \"%s\" on server \"%s\"",
					   GetUserNameFromId(role, false), server->servername),
				errhint("CREATE USER MAPPING FOR \"%s\" SERVER \"%s\" OPTIONS (user '...', password '...');",
						GetUserNameFromId(role, false), server->servername));
	ReleaseSysCache(tuple);
	return GetUserMapping(role, server->serverid);
}

/* us that so many bytes may take on a slow line */
static uint64
time_for(size_t bytes)
{
	return (uint64) bytes * USECS_PER_SEC / FTC_CALL_RATE;
}

/*
 * What the session over there gets, before what the server's owner says.  It
 * ends its waiting when we have ended ours, or calls that nobody waits for any
 * more would pile up behind a lock; and it ends when we are out of its reach, or
 * each partition would leave sessions behind.
 */
static char *
session_options(const char *more)
{
	uint64		longest = ftc_guc_call_timeout + 2 * time_for(FTC_ANSWER_LONG) / 1000;

	return psprintf("-c search_path= -c client_min_messages=error -c jit=off"
					" -c default_transaction_isolation=read\\ committed"
					" -c lock_timeout=%d -c statement_timeout=" UINT64_FORMAT
					" -c tcp_keepalives_idle=5 -c tcp_keepalives_interval=2 -c tcp_keepalives_count=5"
					" -c tcp_user_timeout=%d -c client_connection_check_interval=1000 %s",
					Max(ftc_guc_call_timeout * 9 / 10, 1), longest, ftc_guc_call_timeout, more);
}

static void
collect_options(FtcPeer *peer, Oid for_role, Options *options)
{
	Oid			worker = get_role_oid(ftc_guc_worker_role, false);
	ForeignServer *server = GetForeignServerByName(peer->server, false);
	bool		owned = superuser_arg(server->owner);
	bool		trusted = is_postgres_fdw(server);
	UserMapping *mapping;

	need_usage(server, for_role);
	need_usage(server, worker);
	mapping = need_mapping(server, worker);
	add_options(options, server->options, owned);
	add_options(options, mapping->options, owned || trusted);
	peer->need_password = password_is_required(mapping, trusted);
	if (peer->need_password && !has_option(options, "password"))
		ereport(ERROR,
				errcode(ERRCODE_S_R_E_PROHIBITED_SQL_STATEMENT_ATTEMPTED),
				errmsg("password is required"),
				errdetail("A role that is not a superuser must give a password in its user mapping."),
				errhint("A superuser may set the option password_required of the mapping to false."));
	if (!peer->need_password && !has_option(options, "password"))
		default_option(options, "passfile", "/dev/null");
	default_option(options, "connect_timeout", psprintf("%d", Max(2, ftc_guc_call_timeout / 1000)));
	default_option(options, "tcp_user_timeout", psprintf("%d", ftc_guc_call_timeout));
	/* what is_silent() sees */
	default_option(options, "keepalives_idle", "1");
	default_option(options, "keepalives_interval", "1");
	default_option(options, "keepalives_count", "5");
	default_option(options, "fallback_application_name", "ftchain");
	/* of what is set twice libpq takes the last */
	set_option(options, "options", session_options(get_option(options, "options")));
	set_option(options, "client_encoding", "UTF8");
}

/* ----------------------------------------------------------------
 *		A connection
 * ----------------------------------------------------------------
 */

/*
 * Nothing may move for the usual time, and as long as what we send takes to
 * arrive and to be worked on; an answer may go on coming as long as it may be
 * long.  So who is dead is noticed soon, and a large body gets through.
 */
static void
set_deadlines(FtcPeer *peer, const FtcPeerCall *call)
{
	uint64		now = ftc_clock_steady();

	peer->patience = (uint64) ftc_guc_call_timeout * 1000 + time_for(call->sent);
	peer->deadline = now + peer->patience;
	peer->limit = peer->deadline + time_for(call->sent + call->most);
}

/* A call is the first now. */
static void
begin_waiting(FtcPeer *peer)
{
	peer->ended = false;
	peer->received = 0;
	set_deadlines(peer, &peer->calls[0]);
	(void) PQsetSingleRowMode(peer->conn);
}

/* What a peer has to say besides its answers is not for our log. */
static void
ignore_notice(void *arg, const PGresult *result)
{
}

/*
 * Note that libpq resolves host names here, and waits for the name server: who
 * has a slow one gives hostaddr, or an address as the host.
 */
void
ftc_peer_connect(FtcPeer *peer, Oid for_role, uint64 reach)
{
	Options		options = {.n = 0};

	watch_options();
	peer->options = options_version;
	collect_options(peer, for_role, &options);
	libpqsrv_connect_prepare();
	peer->conn = PQconnectStartParams(options.keywords, options.values, 0);
	if (peer->conn == NULL)
	{
		ReleaseExternalFD();
		ereport(ERROR,
				errcode(ERRCODE_OUT_OF_MEMORY),
				errmsg("out of memory"));
	}
	(void) PQsetNoticeReceiver(peer->conn, ignore_notice, NULL);
	peer->phase = FTC_PEER_CONNECTING;
	peer->poll = PGRES_POLLING_WRITING;
	peer->reached = peer->timed_out = peer->cut = false;
	peer->patience = reach;
	peer->deadline = peer->limit = ftc_clock_steady() + reach;
}

void
ftc_peer_close(FtcPeer *peer)
{
	/* PQfinish sends a goodbye and does not wait for an answer */
	libpqsrv_disconnect(peer->conn);
	PQclear(peer->answer);
	peer->answer = NULL;
	peer->conn = NULL;
	peer->ncalls = 0;
	peer->ended = peer->unsent = false;
	peer->phase = FTC_PEER_CLOSED;
}

bool
ftc_peer_is_ready(const FtcPeer *peer)
{
	return peer->phase == FTC_PEER_IDLE ||
		(peer->phase == FTC_PEER_BUSY && peer->ncalls < FTC_PEER_CALLS_MAX);
}

bool
ftc_peer_call(FtcPeer *peer, const FtcCall *call, const FtcPeerArgs *args)
{
	FtcPeerCall *made = &peer->calls[peer->ncalls];
	int			flushed;

	made->sent = 0;
	made->most = call->most;
	for (int i = 0; i < args->n; i++)
		made->sent += args->lengths[i];
	if (PQsendQueryParams(peer->conn, call->sql, args->n, NULL, args->values, args->lengths,
						  args->formats, 1) != 1)
		return false;
	peer->phase = FTC_PEER_BUSY;
	if (peer->ncalls++ == 0)
		begin_waiting(peer);
	if (PQpipelineSync(peer->conn) != 1)
		return false;
	flushed = PQflush(peer->conn);
	peer->unsent = flushed == 1;
	return flushed >= 0;
}

/* The words of another server, as one line that our log and our clients bear. */
static char *
tame(const char *words)
{
	char	   *line = pnstrdup(words, 1000);
	bool		valid = pg_verifymbstr(line, strlen(line), true);

	for (char *c = line; *c != '\0'; c++)
		if ((unsigned char) *c < ' ' || *c == 0x7f)
			*c = ' ';
		else if (!valid && IS_HIGHBIT_SET(*c))
			*c = '?';
	return line;
}

static char *
connection_message(const FtcPeer *peer)
{
	char	   *message = pchomp(PQerrorMessage(peer->conn));

	/* one line will do: libpq repeats itself for each address */
	message[strcspn(message, "\n")] = '\0';
	return tame(message[0] != '\0' ? message : "connection lost");
}

static bool
is_ready(const FtcPeer *peer, short events)
{
	struct pollfd fd = {.fd = PQsocket(peer->conn),.events = events};

	return fd.fd < 0 || poll(&fd, 1, 0) > 0;
}

static bool
advance_connecting(FtcPeer *peer, char **why)
{
	struct pg_conn *conn = peer->conn;

	/*
	 * asked too early, libpq takes a socket without an error for a connected
	 * one
	 */
	if (!is_ready(peer, peer->poll == PGRES_POLLING_READING ? POLLIN : POLLOUT))
		return true;
	peer->poll = PQconnectPoll(conn);
	if (!peer->reached && PQstatus(conn) != CONNECTION_STARTED && PQstatus(conn) != CONNECTION_BAD &&
		PQstatus(conn) != CONNECTION_NEEDED)
	{
		static const FtcPeerCall greeting = {0};

		peer->reached = true;
		set_deadlines(peer, &greeting);
	}
	if (peer->poll == PGRES_POLLING_FAILED)
	{
		/* libpq keeps the socket over which it was refused, and no other */
		peer->cut = PQsocket(conn) < 0;
		*why = connection_message(peer);
		return false;
	}
	if (peer->poll != PGRES_POLLING_OK)
		return true;
	if (peer->need_password && !PQconnectionUsedPassword(conn))
	{
		*why = pstrdup("the server did not ask for a password, and without one the connection would be made in the name of this server's operating system user");
		return false;
	}
	if (PQsetnonblocking(conn, 1) != 0 || PQenterPipelineMode(conn) != 1)
	{
		*why = connection_message(peer);
		return false;
	}
	peer->phase = FTC_PEER_IDLE;
	return true;
}

static bool
is_copy(const PGresult *result)
{
	ExecStatusType status = PQresultStatus(result);

	return status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH;
}

static bool
is_row(const PGresult *result)
{
	return result != NULL && PQresultStatus(result) == PGRES_SINGLE_TUPLE;
}

/* Add a row to the answer, unless that becomes too long. */
static bool
take_row(FtcPeer *peer, PGresult *row, char **why)
{
	int			n = peer->answer == NULL ? 0 : PQntuples(peer->answer);
	bool		ok = true;

	for (int i = 0; i < PQnfields(row); i++)
		peer->received += PQgetlength(row, 0, i) + 1;
	if (peer->received > peer->calls[0].most)
	{
		*why = pstrdup("its answer is too long");
		PQclear(row);
		return false;
	}
	if (n == 0)
	{
		peer->answer = row;
		return true;
	}
	for (int i = 0; i < PQnfields(row) && ok; i++)
		ok = PQsetvalue(peer->answer, n, i, PQgetvalue(row, 0, i),
						PQgetisnull(row, 0, i) ? -1 : PQgetlength(row, 0, i)) != 0;
	PQclear(row);
	if (!ok)
		*why = pstrdup("out of memory");
	return ok;
}

/*
 * A row, the end of the rows, an error that comes instead of all of them, or the
 * mark behind the answer.
 */
static bool
take_result(FtcPeer *peer, PGresult *next, char **why)
{
	if (is_row(next))
		return take_row(peer, next, why);
	if (PQresultStatus(next) == PGRES_PIPELINE_SYNC)
	{
		PQclear(next);
		peer->ended = true;
		return true;
	}
	if (PQresultStatus(next) == PGRES_TUPLES_OK && is_row(peer->answer))
	{
		PQclear(next);
		return true;
	}
	PQclear(peer->answer);
	peer->answer = next;
	/* libpq would give this again and again */
	if (is_copy(next))
		*why = pstrdup("it answers with a copy");
	return !is_copy(next);
}

/* Bytes move if the socket is ready for what we wait for. */
static bool
is_moving(const FtcPeer *peer)
{
	return is_ready(peer, peer->unsent ? POLLIN | POLLOUT : POLLIN);
}

/* The next one is waited for, if there is one. */
static void
finish_call(FtcPeer *peer, struct pg_result **result)
{
	*result = peer->answer;
	peer->answer = NULL;
	peer->ncalls--;
	memmove(peer->calls, peer->calls + 1, peer->ncalls * sizeof(FtcPeerCall));
	if (peer->ncalls > 0)
		begin_waiting(peer);
	else
		peer->phase = FTC_PEER_IDLE;
}

/* An answer counts only when its command has completed. */
static bool
advance_call(FtcPeer *peer, struct pg_result **result, char **why)
{
	int			flushed;

	if (is_moving(peer))
		peer->deadline = ftc_clock_steady() + peer->patience;
	flushed = PQflush(peer->conn);
	if (flushed < 0 || PQconsumeInput(peer->conn) == 0)
	{
		*why = connection_message(peer);
		return false;
	}
	peer->unsent = flushed == 1;
	while (!peer->ended && !PQisBusy(peer->conn) && PQstatus(peer->conn) != CONNECTION_BAD)
	{
		/* NULL stands between an answer and the mark behind it */
		PGresult   *next = PQgetResult(peer->conn);

		if (next != NULL && !take_result(peer, next, why))
			return false;
	}
	if (PQstatus(peer->conn) == CONNECTION_BAD || (peer->ended && peer->answer == NULL))
	{
		*why = connection_message(peer);
		return false;
	}
	if (peer->ended)
		finish_call(peer, result);
	return true;
}

/* Nobody asked for anything: what comes is parsed and dropped. */
static bool
advance_idle(FtcPeer *peer, char **why)
{
	if (PQconsumeInput(peer->conn) == 0 || PQisBusy(peer->conn) || PQstatus(peer->conn) != CONNECTION_OK)
	{
		*why = connection_message(peer);
		return false;
	}
	return true;
}

static void
drop_notifications(FtcPeer *peer)
{
	PGnotify   *notify;

	while ((notify = PQnotifies(peer->conn)) != NULL)
		PQfreemem(notify);
}

/*
 * Has nothing at all come from its host, not even what answers the kernel's
 * probes?  The connection may come to life again, but a new one will sooner: the
 * longer TCP has waited for an answer, the longer it waits before it asks again.
 */
static bool
is_silent(const FtcPeer *peer)
{
#ifdef TCP_INFO
	struct tcp_info info;
	socklen_t	len = sizeof(info);

	return getsockopt(PQsocket(peer->conn), IPPROTO_TCP, TCP_INFO, &info, &len) == 0 &&
		info.tcpi_state == TCP_ESTABLISHED &&
		Min(info.tcpi_last_ack_recv, info.tcpi_last_data_recv) > SILENCE_MS;
#else
	return false;
#endif
}

/* Is it too late for what is under way? */
static bool
is_late(const FtcPeer *peer, char **why)
{
	uint64		now = ftc_clock_steady();

	if (peer->phase == FTC_PEER_CONNECTING && !peer->reached)
	{
		*why = pstrdup("its host does not answer");
		return now > peer->limit;
	}
	if (now > peer->deadline)
		*why = psprintf("no answer within %d ms", ftc_guc_call_timeout);
	else if (now > peer->limit)
		*why = pstrdup("its answer takes too long");
	else if (is_silent(peer))
		*why = pstrdup("nothing comes from its host any more");
	else
		return false;
	return true;
}

bool
ftc_peer_advance(FtcPeer *peer, struct pg_result **result, char **why)
{
	bool		ok = true;

	*result = NULL;
	switch (peer->phase)
	{
		case FTC_PEER_CLOSED:
			return true;
		case FTC_PEER_CONNECTING:
			ok = advance_connecting(peer, why);
			break;
		case FTC_PEER_BUSY:
			ok = advance_call(peer, result, why);
			break;
		case FTC_PEER_IDLE:
			ok = advance_idle(peer, why);
			break;
	}
	drop_notifications(peer);
	if (ok && (peer->phase == FTC_PEER_CONNECTING || peer->phase == FTC_PEER_BUSY))
		ok = !(peer->timed_out = is_late(peer, why));
	return ok;
}

static int
socket_events(const FtcPeer *peer)
{
	if (peer->phase == FTC_PEER_CONNECTING)
		return peer->poll == PGRES_POLLING_READING ? WL_SOCKET_READABLE
			: PQstatus(peer->conn) == CONNECTION_STARTED ? WL_SOCKET_CONNECTED : WL_SOCKET_WRITEABLE;
	if (peer->phase == FTC_PEER_BUSY && peer->unsent)
		return WL_SOCKET_READABLE | WL_SOCKET_WRITEABLE;
	return WL_SOCKET_READABLE;
}

void
ftc_peer_wait(FtcPeer **peers, int n, long timeout_ms, const char *event)
{
	WaitEventSet *set = CreateWaitEventSet(NULL, n + 2);
	WaitEvent	occurred;

	AddWaitEventToSet(set, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, NULL);
	AddWaitEventToSet(set, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, NULL, NULL);
	for (int i = 0; i < n; i++)
		if (peers[i]->phase != FTC_PEER_CLOSED && PQsocket(peers[i]->conn) >= 0)
			AddWaitEventToSet(set, socket_events(peers[i]), PQsocket(peers[i]->conn), NULL, NULL);
	if (WaitEventSetWait(set, Max(timeout_ms, 0), &occurred, 1, WaitEventExtensionNew(event)) > 0 &&
		(occurred.events & WL_LATCH_SET))
		ResetLatch(MyLatch);
	FreeWaitEventSet(set);
	ftc_worker_attend();
}

/* ----------------------------------------------------------------
 *		Arguments and results
 * ----------------------------------------------------------------
 */

static void
add_arg(FtcPeerArgs *args, const char *value, int length, int format)
{
	args->values[args->n] = value;
	args->lengths[args->n] = length;
	args->formats[args->n] = format;
	args->n++;
}

void
ftc_peer_arg_int(FtcPeerArgs *args, int64 value)
{
	add_arg(args, psprintf(INT64_FORMAT, value), 0, 0);
}

void
ftc_peer_arg_text(FtcPeerArgs *args, const char *value)
{
	add_arg(args, value, 0, 0);
}

void
ftc_peer_arg_bytes(FtcPeerArgs *args, FtcSlice value)
{
	add_arg(args, value.len > 0 ? (const char *) value.data : "", (int) value.len, 1);
}

void
ftc_peer_arg_array(FtcPeerArgs *args, const FtcSlice *values, int n)
{
	Datum	   *elements = palloc(Max(n, 1) * sizeof(Datum));
	ArrayType  *array;
	bytea	   *sent;

	for (int i = 0; i < n; i++)
		elements[i] = ftc_slice_datum(values[i]);
	array = construct_array(elements, n, BYTEAOID, -1, false, TYPALIGN_INT);
	sent = OidSendFunctionCall(F_ARRAY_SEND, PointerGetDatum(array));
	add_arg(args, VARDATA(sent), (int) (VARSIZE(sent) - VARHDRSZ), 1);
}

bool
ftc_peer_failed(struct pg_result *result)
{
	return PQresultStatus(result) != PGRES_TUPLES_OK && !is_row(result);
}

char *
ftc_peer_message(struct pg_result *result)
{
	const char *primary = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);

	return tame(primary != NULL ? primary : pchomp(PQresultErrorMessage(result)));
}

/* Two transactions were in each other's way, or one waited too long. */
bool
ftc_peer_is_transient(struct pg_result *result)
{
	static const char *const states[] = {"40001", "40P01", "55P03"};
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);

	for (int i = 0; state != NULL && i < (int) lengthof(states); i++)
		if (strcmp(state, states[i]) == 0)
			return true;
	return false;
}

int
ftc_peer_rows(struct pg_result *result)
{
	return PQntuples(result);
}

bool
ftc_peer_is_null(struct pg_result *result, int row, int column)
{
	return row >= PQntuples(result) || column >= PQnfields(result) || PQgetisnull(result, row, column);
}

FtcSlice
ftc_peer_bytes(struct pg_result *result, int row, int column)
{
	if (ftc_peer_is_null(result, row, column))
		return ftc_slice(NULL, 0);
	return ftc_slice(PQgetvalue(result, row, column), PQgetlength(result, row, column));
}

char *
ftc_peer_text(struct pg_result *result, int row, int column)
{
	return tame(ftc_slice_string(ftc_peer_bytes(result, row, column)));
}

bool
ftc_peer_int(struct pg_result *result, int row, int column, int64 *value)
{
	FtcSlice	bytes = ftc_peer_bytes(result, row, column);
	FtcReader	reader = ftc_reader(bytes);

	if (bytes.len == 4)
		*value = (int32) ftc_get_u32(&reader);
	else if (bytes.len == 8)
		*value = (int64) ftc_get_u64(&reader);
	else
		return false;
	return true;
}

bool
ftc_peer_hash(struct pg_result *result, int row, int column, FtcHash *value)
{
	FtcSlice	bytes = ftc_peer_bytes(result, row, column);

	if (bytes.len != FTC_HASH_LEN)
		return false;
	memcpy(value->b, bytes.data, FTC_HASH_LEN);
	return true;
}

void
ftc_peer_clear(struct pg_result *result)
{
	PQclear(result);
}

/* ----------------------------------------------------------------
 *		In a session
 * ----------------------------------------------------------------
 */

static void
raise_connection_error(FtcPeer *peer, const char *why)
{
	char	   *server = pstrdup(peer->server);

	ftc_peer_close(peer);
	ereport(ERROR,
			errcode(ERRCODE_SQLCLIENT_UNABLE_TO_ESTABLISH_SQLCONNECTION),
			errmsg("could not talk to server \"%s\": %s", server, why));
}

static void
raise_remote_error(FtcPeer *peer, struct pg_result *result, const char *sql)
{
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	const char *detail = PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL);
	const char *hint = PQresultErrorField(result, PG_DIAG_MESSAGE_HINT);
	int			code = state != NULL && strlen(state) == 5
	? MAKE_SQLSTATE(state[0], state[1], state[2], state[3], state[4]) : ERRCODE_CONNECTION_FAILURE;
	char	   *message = ftc_peer_message(result);
	char	   *copy_detail = detail != NULL ? tame(detail) : NULL;
	char	   *copy_hint = hint != NULL ? tame(hint) : NULL;
	char	   *server = pstrdup(peer->server);

	PQclear(result);
	ftc_peer_close(peer);
	ereport(ERROR,
			errcode(code),
			errmsg("server \"%s\": %s", server, message),
			copy_detail != NULL ? errdetail_internal("%s", copy_detail) : 0,
			copy_hint != NULL ? errhint("%s", copy_hint) : 0,
			errcontext("remote SQL command: %s", sql));
}

static struct pg_result *
wait_for_phase(FtcPeer *peer, FtcPeerPhase phase)
{
	struct pg_result *result = NULL;
	char	   *why = NULL;

	PG_TRY();
	{
		while (peer->phase != phase)
		{
			ftc_peer_wait(&peer, 1, 200, "FtchainPeer");
			if (!ftc_peer_advance(peer, &result, &why))
				raise_connection_error(peer, why);
		}
	}
	PG_CATCH();
	{
		ftc_peer_close(peer);
		PG_RE_THROW();
	}
	PG_END_TRY();
	return result;
}

void
ftc_peer_open(FtcPeer *peer, const char *server, Oid for_role)
{
	memset(peer, 0, sizeof(*peer));
	if (strlen(server) >= sizeof(peer->server))
		ereport(ERROR,
				errcode(ERRCODE_UNDEFINED_OBJECT),
				errmsg("server \"%s\" does not exist", server));
	strlcpy(peer->server, server, sizeof(peer->server));
	ftc_peer_connect(peer, for_role, (uint64) ftc_guc_call_timeout * 1000);
	(void) wait_for_phase(peer, FTC_PEER_IDLE);
}

struct pg_result *
ftc_peer_ask(FtcPeer *peer, const FtcCall *call, const FtcPeerArgs *args)
{
	struct pg_result *result;

	if (!ftc_peer_call(peer, call, args))
		raise_connection_error(peer, connection_message(peer));
	result = wait_for_phase(peer, FTC_PEER_IDLE);
	if (ftc_peer_failed(result))
		raise_remote_error(peer, result, call->sql);
	return result;
}
