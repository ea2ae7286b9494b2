/*-------------------------------------------------------------------------
 *
 * cutter.c
 *	  Passes TCP connections on, and ends them after so many bytes.
 *
 * Usage: cutter ADDRESS PORT TO_ADDRESS TO_PORT
 *
 * It listens at the first, and connects to the second for each who comes.  PORT
 * 0 is any; the first line of output is "ok PORT".
 *
 * Commands (see lab.h).  WAY is up, from who connects, down, or both: then the
 * bytes of both count.
 *
 *	plan WAY BYTES HOW [N]	the next N connections (all that come) end after so
 *							many bytes:
 *		reset				both sides get a reset, when what was passed on has
 *							arrived
 *		silent				both stay, and nothing passes any more: half-open
 *	plan pass				nothing happens to those that come
 *	end HOW					the same to all that there are, now
 *	show					"ok came=3 open=1 reset=2 silent=0 up=512 down=80",
 *							the bytes being those of the one that came last
 *
 *-------------------------------------------------------------------------
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "lab.h"

#define MAX_CONNECTIONS 200
#define AT_ONCE 65536			/* bytes */
#define ARRIVES_WITHIN 2000000	/* us that a reset waits for what was passed
								 * on */

enum
{
	UP,
	DOWN,
	BOTH
};

typedef enum How
{
	HOW_PASS,
	HOW_RESET,
	HOW_SILENT
} How;

typedef struct Plan
{
	How			how;
	int			way;			/* UP, DOWN or BOTH */
	uint64_t	bytes;
	double		connections;	/* how many it is still for */
} Plan;

typedef struct Flow
{
	int			from;
	int			to;
	char		bytes[AT_ONCE];
	size_t		used;			/* read, and */
	size_t		done;			/* of these written */
	bool		ended;			/* nothing more to read */
	bool		shut;			/* and the other side knows */
} Flow;

typedef struct Connection
{
	uint64_t	number;
	Flow		flow[2];		/* UP and DOWN */
	uint64_t	read[2];		/* bytes */
	Plan		plan;
	uint64_t	reset_by;		/* latest time of a reset that is under way,
								 * or 0 */
	bool		silent;
} Connection;

static int	listener;
static struct sockaddr_in target;
static Connection *connections[MAX_CONNECTIONS];
static int	connection_count;
static Plan plan;
static uint64_t came;
static uint64_t resets;
static uint64_t silenced;
static uint64_t last_read[2];


/* ---- connections */

static void
forget(int i, bool reset)
{
	Connection *c = connections[i];
	struct linger linger = {1, 0};

	for (int way = UP; way <= DOWN; way++)
	{
		if (reset)
			(void) setsockopt(c->flow[way].from, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
		close(c->flow[way].from);
	}
	free(c);
	connections[i] = connections[--connection_count];
}

static void
end_connection(Connection *c, How how)
{
	if (how == HOW_SILENT && !c->silent)
	{
		c->silent = true;
		silenced++;
	}
	if (how == HOW_RESET && c->reset_by == 0)
	{
		c->reset_by = now_us() + ARRIVES_WITHIN;
		resets++;
	}
}

/* How many bytes may still be read on that way */
static size_t
allowed(Connection *c, int way)
{
	uint64_t	read = c->plan.way == BOTH ? c->read[UP] + c->read[DOWN] : c->read[way];

	if (c->plan.how == HOW_PASS || (c->plan.way != BOTH && c->plan.way != way))
		return AT_ONCE;
	return c->plan.bytes - read < AT_ONCE ? (size_t) (c->plan.bytes - read) : AT_ONCE;
}

/* All that a plan lets through has been written. */
static bool
plan_is_done(Connection *c)
{
	int			way = c->plan.way;

	if (c->plan.how == HOW_PASS || allowed(c, way == BOTH ? UP : way) > 0)
		return false;
	return c->flow[UP].used == 0 && c->flow[DOWN].used == 0;
}

static void
accept_connection(void)
{
	const int	on = 1;
	Connection *c;
	int			client = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	int			server;

	if (client < 0)
		return;
	server = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (server < 0 || connection_count == MAX_CONNECTIONS)
		die("too many connections");
	(void) setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	(void) setsockopt(server, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	/* that it fails is seen when it is read */
	(void) connect(server, (struct sockaddr *) &target, sizeof(target));

	c = get_memory(sizeof(*c));
	c->number = ++came;
	c->flow[UP].from = c->flow[DOWN].to = client;
	c->flow[UP].to = c->flow[DOWN].from = server;
	last_read[UP] = last_read[DOWN] = 0;
	if (plan.how != HOW_PASS && plan.connections >= 1)
	{
		c->plan = plan;
		plan.connections--;
	}
	connections[connection_count++] = c;
}

/* False if the connection is broken. */
static bool
move_bytes(Connection *c, int way)
{
	Flow	   *flow = &c->flow[way];
	size_t		most = allowed(c, way);
	ssize_t		n;

	if (flow->used == 0 && !flow->ended && most > 0)
	{
		n = read(flow->from, flow->bytes, most);
		if (n < 0 && errno != EAGAIN && errno != EINTR && errno != ENOTCONN)
			return false;
		if (n == 0)
			flow->ended = true;
		if (n > 0)
		{
			flow->used = (size_t) n;
			flow->done = 0;
			c->read[way] += (uint64_t) n;
			if (c->number == came)
				last_read[way] = c->read[way];
		}
	}
	if (flow->used > 0)
	{
		n = send(flow->to, flow->bytes + flow->done, flow->used - flow->done, MSG_NOSIGNAL);
		if (n < 0 && errno != EAGAIN && errno != EINTR && errno != ENOTCONN)
			return false;
		if (n > 0)
			flow->done += (size_t) n;
		if (flow->done == flow->used)
			flow->used = 0;
	}
	if (flow->ended && flow->used == 0 && !flow->shut)
	{
		(void) shutdown(flow->to, SHUT_WR);
		flow->shut = true;
	}
	return true;
}

/* What a socket has not been able to hand over yet */
static bool
has_arrived(int socket)
{
	int			left = 0;

	return ioctl(socket, SIOCOUTQ, &left) != 0 || left == 0;
}

/* False if it is over; then it is forgotten. */
static bool
serve_connection(int i)
{
	Connection *c = connections[i];

	if (c->reset_by == 0 && !c->silent)
	{
		if (!move_bytes(c, UP) || !move_bytes(c, DOWN))
		{
			forget(i, true);
			return false;
		}
		if (plan_is_done(c))
			end_connection(c, c->plan.how);
		else if (c->flow[UP].shut && c->flow[DOWN].shut)
		{
			forget(i, false);
			return false;
		}
	}
	if (c->reset_by != 0 &&
		((has_arrived(c->flow[UP].to) && has_arrived(c->flow[DOWN].to)) || now_us() > c->reset_by))
	{
		forget(i, true);
		return false;
	}
	return true;
}


/* ---- commands */

static How
find_how(const char *word)
{
	return strcmp(word, "reset") == 0 ? HOW_RESET : strcmp(word, "silent") == 0 ? HOW_SILENT : HOW_PASS;
}

static int
find_way(const char *word)
{
	return strcmp(word, "up") == 0 ? UP : strcmp(word, "down") == 0 ? DOWN : strcmp(word, "both") == 0 ? BOTH : -1;
}

static bool
make_plan(char **words, int count)
{
	Plan		new = {.connections = 1e18};
	double		bytes;

	if (count == 2 && strcmp(words[1], "pass") == 0)
	{
		plan = new;
		return true;
	}
	if (count < 4 || count > 5 || !read_number(words[2], 1e15, &bytes))
		return false;
	new.way = find_way(words[1]);
	new.bytes = (uint64_t) bytes;
	new.how = find_how(words[3]);
	if (new.way < 0 || new.how == HOW_PASS || (count == 5 && !read_number(words[4], 1e15, &new.connections)))
		return false;
	plan = new;
	return true;
}

static void
obey(char **words, int count)
{
	const char *command = count > 0 ? words[0] : "";
	bool		good = true;

	if (strcmp(command, "show") == 0)
	{
		answer("ok came=%llu open=%d reset=%llu silent=%llu up=%llu down=%llu", (unsigned long long) came,
			   connection_count, (unsigned long long) resets, (unsigned long long) silenced,
			   (unsigned long long) last_read[UP], (unsigned long long) last_read[DOWN]);
		return;
	}
	if (strcmp(command, "plan") == 0)
		good = make_plan(words, count);
	else if (strcmp(command, "end") == 0 && count == 2 && find_how(words[1]) != HOW_PASS)
	{
		for (int i = 0; i < connection_count; i++)
			end_connection(connections[i], find_how(words[1]));
	}
	else
		good = false;
	answer(good ? "ok" : "error: no such command");
}


/* ---- all of it */

static void
read_address(struct sockaddr_in *address, const char *host, const char *port)
{
	double		number;

	address->sin_family = AF_INET;
	if (inet_pton(AF_INET, host, &address->sin_addr) != 1 || !read_number(port, 65535, &number))
		die("not an address: %s %s", host, port);
	address->sin_port = htons((uint16_t) number);
}

static void
start_listening(struct sockaddr_in *address)
{
	const int	on = 1;
	socklen_t	length = sizeof(*address);

	listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (listener < 0 || setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
		bind(listener, (struct sockaddr *) address, length) != 0 || listen(listener, 100) != 0 ||
		getsockname(listener, (struct sockaddr *) address, &length) != 0)
		die("cannot listen: %s", strerror(errno));
}

/* What to wait for at a socket that is read on one way and written on the other */
static short
events_of(Connection *c, int way)
{
	Flow	   *in = &c->flow[way];
	Flow	   *out = &c->flow[!way];
	short		events = 0;

	if (c->silent || c->reset_by != 0)
		return 0;
	if (in->used == 0 && !in->ended && allowed(c, way) > 0)
		events |= POLLIN;
	if (out->used > 0)
		events |= POLLOUT;
	return events;
}

static void
serve(void)
{
	static Input input;
	static struct pollfd ready[2 + 2 * MAX_CONNECTIONS];
	char		line[sizeof(input.bytes)];
	char	   *words[MAX_WORDS];

	for (;;)
	{
		nfds_t		n = 2;
		int			wait = -1;
		int			count;

		ready[0].fd = STDIN_FILENO;
		ready[1].fd = listener;
		ready[0].events = ready[1].events = POLLIN;
		for (int i = 0; i < connection_count; i++)
		{
			if (connections[i]->reset_by != 0)
				wait = 1;
			for (int way = UP; way <= DOWN; way++)
			{
				/* who is left alone must not be told of its end all the time */
				ready[n].events = events_of(connections[i], way);
				ready[n].fd = ready[n].events != 0 ? connections[i]->flow[way].from : -1;
				n++;
			}
		}
		if (poll(ready, n, wait) < 0 && errno != EINTR)
			die("cannot wait: %s", strerror(errno));
		if (ready[0].revents != 0 && !input_read(&input))
			return;
		while ((count = input_words(&input, line, words)) >= 0)
			obey(words, count);
		accept_connection();
		for (int i = 0; i < connection_count;)
			i += serve_connection(i);
	}
}

int
main(int argc, char **argv)
{
	struct sockaddr_in address = {0};

	if (argc != 5)
		die("usage: cutter ADDRESS PORT TO_ADDRESS TO_PORT");
	read_address(&address, argv[1], argv[2]);
	read_address(&target, argv[3], argv[4]);
	start_listening(&address);
	answer("ok %d", ntohs(address.sin_port));
	serve();
	return 0;
}
