/*-------------------------------------------------------------------------
 *
 * queue_latency.c
 *	  How long a lone message takes, for test/bench/queue.
 *
 * queue_latency ftchain|notify|pgq N FROM TO
 *
 * Sends N messages, one after the other, on the connection FROM, and receives
 * each on TO before the next is sent.  The time is from the call that sends it
 * until the answer that has it.  Prints the median and the 99th percentile, in ms.
 *
 *-------------------------------------------------------------------------
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <libpq-fe.h>

typedef struct Way
{
	const char *name;
	const char *listen;			/* NULL: it is asked again and again */
	const char *send;
	const char *receive;		/* gives a row if it has come */
} Way;

static const Way ways[] = {
	{"ftchain", "LISTEN ftchain_topic",
		"SELECT ftchain.send('b', 'lone', '{\"n\": 1}')",
	"SELECT ftchain.ack('lone', id) FROM ftchain.recv('lone')"},
	{"notify", "LISTEN lone",
		"INSERT INTO lone (payload) VALUES ('{\"n\": 1}'); NOTIFY lone",
	"DELETE FROM lone WHERE id = (SELECT min(id) FROM lone) RETURNING payload"},
	{"pgq", NULL,
		"SELECT pgq.insert_event('lone', 'job', '{\"n\": 1}')",
		"WITH batch AS MATERIALIZED (SELECT pgq.next_batch('lone', 'bench') AS id),"
		" events AS MATERIALIZED (SELECT id, (SELECT count(*) FROM pgq.get_batch_events(id)) AS n FROM batch WHERE id IS NOT NULL),"
	" done AS MATERIALIZED (SELECT n, pgq.finish_batch(id) FROM events) SELECT FROM done WHERE n > 0"},
};

static double
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

static void
fail(PGconn *conn)
{
	fprintf(stderr, "queue_latency: %s\n", PQerrorMessage(conn));
	exit(1);
}

static PGconn *
connect_to(const char *where)
{
	PGconn	   *conn = PQconnectdb(where);

	if (PQstatus(conn) != CONNECTION_OK)
		fail(conn);
	return conn;
}

/* Gives the number of rows. */
static int
run(PGconn *conn, const char *sql)
{
	PGresult   *result = PQexec(conn, sql);
	int			rows = PQntuples(result);

	if (PQresultStatus(result) != PGRES_COMMAND_OK && PQresultStatus(result) != PGRES_TUPLES_OK)
		fail(conn);
	PQclear(result);
	return rows;
}

static void
drop_notifications(PGconn *conn)
{
	PGnotify   *notify;

	while ((notify = PQnotifies(conn)) != NULL)
		PQfreemem(notify);
}

/* Until something may have come; at most a while. */
static void
wait_for(PGconn *conn, const Way *way)
{
	struct pollfd p = {.fd = PQsocket(conn),.events = POLLIN};
	PGnotify   *notify;

	if (way->listen == NULL)
	{
		(void) poll(NULL, 0, 1);
		return;
	}
	if (PQconsumeInput(conn) == 0)
		fail(conn);
	notify = PQnotifies(conn);
	if (notify == NULL)
		(void) poll(&p, 1, 100);
	PQfreemem(notify);
	drop_notifications(conn);
}

static double
measure(PGconn *from, PGconn *to, const Way *way)
{
	double		start = now_ms();

	(void) run(from, way->send);
	while (run(to, way->receive) == 0)
	{
		if (now_ms() - start > 60000)
		{
			fprintf(stderr, "queue_latency: a message has not come in 60 s\n");
			exit(1);
		}
		wait_for(to, way);
	}
	return now_ms() - start;
}

static int
compare(const void *a, const void *b)
{
	double		x = *(const double *) a;
	double		y = *(const double *) b;

	return x < y ? -1 : x > y;
}

int
main(int argc, char **argv)
{
	const Way  *way = NULL;
	int			n = argc == 5 ? atoi(argv[2]) : 0;
	double	   *times;
	PGconn	   *from;
	PGconn	   *to;

	for (size_t i = 0; argc == 5 && i < sizeof(ways) / sizeof(ways[0]); i++)
		if (strcmp(ways[i].name, argv[1]) == 0)
			way = &ways[i];
	if (way == NULL || n < 1)
	{
		fprintf(stderr, "usage: queue_latency ftchain|notify|pgq N FROM TO\n");
		return 2;
	}
	from = connect_to(argv[3]);
	to = connect_to(argv[4]);
	if (way->listen != NULL)
		(void) run(to, way->listen);
	times = calloc((size_t) n, sizeof(double));
	(void) measure(from, to, way);	/* the first finds nothing prepared */
	for (int i = 0; i < n; i++)
		times[i] = measure(from, to, way);
	qsort(times, (size_t) n, sizeof(double), compare);
	printf("%.3f %.3f\n", times[n / 2], times[(size_t) (n * 0.99) < (size_t) n ? (size_t) (n * 0.99) : (size_t) n - 1]);
	PQfinish(from);
	PQfinish(to);
	return 0;
}
