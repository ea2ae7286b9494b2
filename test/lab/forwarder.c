/*-------------------------------------------------------------------------
 *
 * forwarder.c
 *	  Carries packets between the hosts of the network laboratory, and treats
 *	  them badly on the way.
 *
 * Usage: forwarder HOST=ADDRESS...
 *		  forwarder --plain INTERFACE
 *
 * Each host has a network namespace of its own and one interface, the other end
 * of which is in the forwarder's namespace and has the host's name.  There is no
 * bridge and no router: what a host sends is read here from the wire and passed
 * on to the host with that address, or not.
 *
 * The second form makes a host's interface send packets as they are on a real
 * wire.  A virtual one saves itself the checksums and the cutting of long
 * segments, since its other end is in the same machine.
 *
 * Commands (see lab.h).  FROM and TO are names of hosts or "*".
 *
 *	set FROM TO NAME=VALUE...	for the packets of that direction:
 *		loss, duplicate			percent
 *		late, lateness			percent, and how many ms after the others they
 *								come (10): what reorders them
 *		corrupt					percent of those with content: one byte of it is
 *								another
 *		repair					1: with a checksum that fits, so that the damage
 *								arrives
 *		delay, jitter			ms; jitter is added, evenly from 0 on, and keeps
 *								the order
 *		rate					kbit/s; 0 is without limit
 *		limit					packets on the way; what is more is dropped (10000)
 *		down					1: nothing passes
 *	clear FROM TO				all as at first, passed on at once
 *	show FROM TO				counters, summed up: "ok sent=10 lost=1 ..."; of
 *								these missed is what FROM has sent to anybody and
 *								the forwarder was too slow for
 *	seed N						chance from here on
 *
 * What is on the way when a direction goes down does not arrive.
 *
 *-------------------------------------------------------------------------
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <linux/ethtool.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "lab.h"

#define MAX_HOSTS 16
#define MAX_FRAME 2048			/* longer than the interfaces send */
#define AT_ONCE 64				/* packets taken before others have their turn */

/* The settings of a direction */
#define SETTINGS(X) \
	X(loss, 100) X(duplicate, 100) X(late, 100) X(lateness, 1e6) X(corrupt, 100) X(repair, 1) \
	X(delay, 1e6) X(jitter, 1e6) X(rate, 1e9) X(limit, 1e6) X(down, 1)

typedef struct Treatment
{
#define X(name, most) double name;
	SETTINGS(X)
#undef X
} Treatment;

/* What has become of the packets of a direction */
#define COUNTERS(X) \
	X(sent) X(passed) X(lost) X(duplicated) X(delayed) X(corrupted) X(stopped) X(overflowed)

typedef struct Counters
{
#define X(name) uint64_t name;
	COUNTERS(X)
#undef X
} Counters;

typedef struct Direction
{
	Treatment	treatment;
	Counters	counters;
	uint64_t	last_due;		/* when the last packet in order arrives */
	uint64_t	busy_until;		/* when the line has sent what it was given */
	uint32_t	waiting;		/* packets on the way */
} Direction;

typedef struct Host
{
	const char *name;
	struct in_addr address;
	int			socket;
	uint64_t	missed;			/* packets that there was no room for */
} Host;

typedef struct Packet
{
	uint64_t	due;
	uint64_t	number;			/* those due at the same time keep their order */
	int			from;
	int			to;
	size_t		length;
	unsigned char frame[];
} Packet;

static Host hosts[MAX_HOSTS];
static int	host_count;
static Direction directions[MAX_HOSTS][MAX_HOSTS];

/* Packets on the way, as a heap: what is due first is at the root */
static Packet **queue;
static size_t queue_used;
static size_t queue_size;
static uint64_t last_number;

static uint64_t chance_state = 1;


/* ---- chance: SplitMix64 */

static uint64_t
chance(void)
{
	uint64_t	z = chance_state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

/* From 0 to below 1 */
static double
chance_part(void)
{
	return (double) (chance() >> 11) / 9007199254740992.0;
}

static bool
happens(double percent)
{
	return percent > 0 && chance_part() * 100 < percent;
}


/* ---- the queue */

static bool
is_before(const Packet *a, const Packet *b)
{
	return a->due < b->due || (a->due == b->due && a->number < b->number);
}

static void
queue_add(Packet *packet)
{
	size_t		i;

	if (queue_used == queue_size)
	{
		queue_size = queue_size == 0 ? 1024 : 2 * queue_size;
		queue = realloc(queue, queue_size * sizeof(*queue));
		if (queue == NULL)
			die("out of memory");
	}
	for (i = queue_used++; i > 0 && is_before(packet, queue[(i - 1) / 2]); i = (i - 1) / 2)
		queue[i] = queue[(i - 1) / 2];
	queue[i] = packet;
}

static Packet *
queue_take(void)
{
	Packet	   *first = queue[0];
	Packet	   *last = queue[--queue_used];
	size_t		i = 0;

	for (;;)
	{
		size_t		child = 2 * i + 1;

		if (child >= queue_used)
			break;
		if (child + 1 < queue_used && is_before(queue[child + 1], queue[child]))
			child++;
		if (!is_before(queue[child], last))
			break;
		queue[i] = queue[child];
		i = child;
	}
	queue[i] = last;
	return first;
}


/* ---- frames */

/* The IPv4 header of a frame, if it has one and what it says fits. */
static struct iphdr *
ip_header(unsigned char *frame, size_t length)
{
	struct ethhdr *ethernet = (struct ethhdr *) frame;
	struct iphdr *ip = (struct iphdr *) (frame + sizeof(struct ethhdr));

	if (length < sizeof(*ethernet) + sizeof(*ip) || ntohs(ethernet->h_proto) != ETH_P_IP)
		return NULL;
	if (ip->version != 4 || ip->ihl < 5 || ntohs(ip->tot_len) < ip->ihl * 4 ||
		ntohs(ip->tot_len) > length - sizeof(*ethernet))
		return NULL;
	return ip;
}

/* What follows the IPv4 header, and where TCP and UDP keep their checksum in it */
static unsigned char *
ip_content(struct iphdr *ip, size_t *length, uint16_t **sum)
{
	unsigned char *content = (unsigned char *) ip + ip->ihl * 4;

	*length = ntohs(ip->tot_len) - ip->ihl * 4u;
	*sum = NULL;
	if (ip->protocol == IPPROTO_TCP && *length >= sizeof(struct tcphdr))
		*sum = (uint16_t *) (content + offsetof(struct tcphdr, check));
	else if (ip->protocol == IPPROTO_UDP && *length >= sizeof(struct udphdr))
		*sum = (uint16_t *) (content + offsetof(struct udphdr, check));
	return content;
}

/* RFC 1071, over the pseudo header as well */
static void
set_checksum(struct iphdr *ip)
{
	size_t		length;
	uint16_t   *place;
	unsigned char *content = ip_content(ip, &length, &place);
	unsigned char *addresses = (unsigned char *) &ip->saddr;
	uint32_t	sum = ip->protocol;

	if (place == NULL)
		return;
	*place = 0;
	sum += (uint32_t) length;
	for (size_t i = 0; i < 8; i += 2)
		sum += (uint32_t) addresses[i] << 8 | addresses[i + 1];
	for (size_t i = 0; i < length; i += 2)
		sum += (uint32_t) content[i] << 8 | (i + 1 < length ? content[i + 1] : 0u);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	*place = htons((uint16_t) ~sum);
	if (*place == 0 && ip->protocol == IPPROTO_UDP)
		*place = 0xffff;
}

/* Change a byte of what an application has sent; false if there is none. */
static bool
corrupt(struct iphdr *ip, bool repair)
{
	size_t		length;
	uint16_t   *sum;
	unsigned char *content = ip_content(ip, &length, &sum);
	size_t		headers = 0;

	if (ip->protocol == IPPROTO_TCP && sum != NULL)
		headers = ((struct tcphdr *) content)->doff * 4u;
	else if (ip->protocol == IPPROTO_UDP)
		headers = sizeof(struct udphdr);
	if (headers >= length)
		return false;
	content[headers + chance() % (length - headers)] ^= 1 + chance() % 255;
	if (repair)
		set_checksum(ip);
	return true;
}


/* ---- the way of a packet */

static void
deliver(Packet *packet)
{
	Direction  *direction = &directions[packet->from][packet->to];

	direction->waiting--;
	if (direction->treatment.down)
		direction->counters.stopped++;
	else if (send(hosts[packet->to].socket, packet->frame, packet->length, 0) == (ssize_t) packet->length)
		direction->counters.passed++;
	else
		direction->counters.overflowed++;
	free(packet);
}

/* When a packet that is sent now arrives */
static uint64_t
arrival(Direction *direction, size_t length)
{
	Treatment  *t = &direction->treatment;
	uint64_t	due = now_us();

	if (t->rate > 0)
	{
		/* bits by kbit/s are ms */
		if (direction->busy_until > due)
			due = direction->busy_until;
		due += (uint64_t) ((double) length * 8 / t->rate * 1000);
		direction->busy_until = due;
	}
	due += (uint64_t) (t->delay * 1000);
	if (t->jitter > 0)
		due += (uint64_t) (t->jitter * 1000 * chance_part());
	if (happens(t->late))
	{
		direction->counters.delayed++;
		return due + (uint64_t) (t->lateness * 1000);
	}
	if (due < direction->last_due)
		due = direction->last_due;
	direction->last_due = due;
	return due;
}

static void
pass_on(int from, int to, const unsigned char *frame, size_t length)
{
	Direction  *direction = &directions[from][to];
	Treatment  *t = &direction->treatment;
	Counters   *c = &direction->counters;
	Packet	   *packet;

	if (direction->waiting >= t->limit)
	{
		c->overflowed++;
		return;
	}
	packet = get_memory(sizeof(*packet) + length);
	packet->from = from;
	packet->to = to;
	packet->length = length;
	packet->number = ++last_number;
	memcpy(packet->frame, frame, length);
	if (happens(t->corrupt) && corrupt(ip_header(packet->frame, length), t->repair != 0))
		c->corrupted++;
	packet->due = arrival(direction, length);
	direction->waiting++;
	queue_add(packet);
}

static void
take_in(int from, unsigned char *frame, size_t length)
{
	struct iphdr *ip = ip_header(frame, length);
	Direction  *direction;
	int			to;

	if (ip == NULL)
		return;
	for (to = 0; to < host_count; to++)
		if (hosts[to].address.s_addr == ip->daddr)
			break;
	if (to == host_count || to == from)
		return;
	direction = &directions[from][to];
	direction->counters.sent++;
	if (direction->treatment.down)
		direction->counters.stopped++;
	else if (happens(direction->treatment.loss))
		direction->counters.lost++;
	else
	{
		pass_on(from, to, frame, length);
		if (happens(direction->treatment.duplicate))
		{
			direction->counters.duplicated++;
			pass_on(from, to, frame, length);
		}
	}
}

/* False if there is nothing to read. */
static bool
read_frame(int from)
{
	static unsigned char frame[MAX_FRAME];
	union
	{
		char		bytes[CMSG_SPACE(sizeof(struct tpacket_auxdata))];
		struct cmsghdr aligned;
	}			control;
	struct iovec part = {frame, sizeof(frame)};
	struct msghdr message = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control)
	};
	ssize_t		n = recvmsg(hosts[from].socket, &message, MSG_DONTWAIT | MSG_TRUNC);

	if (n < 0)
	{
		if (errno == EAGAIN || errno == EINTR || errno == ENETDOWN)
			return false;
		die("cannot read from %s: %s", hosts[from].name, strerror(errno));
	}
	if ((size_t) n > sizeof(frame))
		die("%s sends packets of %zd bytes: is it plain?", hosts[from].name, n);
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c != NULL; c = CMSG_NXTHDR(&message, c))
	{
		struct tpacket_auxdata about;

		if (c->cmsg_level != SOL_PACKET || c->cmsg_type != PACKET_AUXDATA)
			continue;
		memcpy(&about, CMSG_DATA(c), sizeof(about));
		if (about.tp_status & TP_STATUS_CSUMNOTREADY)
			die("%s sends packets without checksums: is it plain?", hosts[from].name);
	}
	take_in(from, frame, (size_t) n);
	return true;
}


/* ---- commands */

/* -1 is for all, -2 for a name that nobody has */
static int
find_host(const char *name)
{
	if (strcmp(name, "*") == 0)
		return -1;
	for (int i = 0; i < host_count; i++)
		if (strcmp(hosts[i].name, name) == 0)
			return i;
	return -2;
}

static bool
set_one(Treatment *t, char *word)
{
	char	   *value = strchr(word, '=');
	bool		good = false;

	if (value == NULL)
		return false;
	*value = '\0';
#define X(name, most) \
	if (strcmp(word, #name) == 0) \
		good = read_number(value + 1, most, &t->name);
	SETTINGS(X);
#undef X
	*value = '=';
	return good;
}

static void
clear_treatment(Treatment *t)
{
	memset(t, 0, sizeof(*t));
	t->lateness = 10;
	t->limit = 10000;
}

/* Clear or change the settings of a direction, or add up its counters. */
static bool
command_on(Direction *direction, const char *command, char **words, int count, Counters *sum)
{
	Counters   *c = &direction->counters;

	if (strcmp(command, "clear") == 0)
		clear_treatment(&direction->treatment);
	for (int i = 0; i < count; i++)
		if (!set_one(&direction->treatment, words[i]))
			return false;
#define X(name) sum->name += c->name;
	COUNTERS(X);
#undef X
	return true;
}

/* The kernel's count begins anew each time. */
static uint64_t
missed_from(Host *host)
{
	struct tpacket_stats stats;
	socklen_t	length = sizeof(stats);

	if (getsockopt(host->socket, SOL_PACKET, PACKET_STATISTICS, &stats, &length) == 0)
		host->missed += stats.tp_drops;
	return host->missed;
}

static void
show(int from, const Counters *sum)
{
	uint64_t	missed = 0;

	for (int i = 0; i < host_count; i++)
		if (from < 0 || i == from)
			missed += missed_from(&hosts[i]);
	printf("ok");
#define X(name) printf(" " #name "=%llu", (unsigned long long) sum->name);
	COUNTERS(X);
#undef X
	answer(" missed=%llu", (unsigned long long) missed);
}

static void
obey(char **words, int count)
{
	const char *command = count > 0 ? words[0] : "";
	int			from = count > 2 ? find_host(words[1]) : -2;
	int			to = count > 2 ? find_host(words[2]) : -2;
	Counters	sum = {0};
	double		seed;

	if (strcmp(command, "seed") == 0 && count == 2 && read_number(words[1], 1e15, &seed))
	{
		chance_state = (uint64_t) seed;
		answer("ok");
		return;
	}
	if (from == -2 || to == -2 ||
		!(strcmp(command, "set") == 0 || (count == 3 && (strcmp(command, "clear") == 0 || strcmp(command, "show") == 0))))
	{
		answer("error: no such command or host: %s", command);
		return;
	}
	for (int i = 0; i < host_count; i++)
	{
		for (int j = 0; j < host_count; j++)
		{
			if (i == j || (from >= 0 && i != from) || (to >= 0 && j != to))
				continue;
			if (!command_on(&directions[i][j], command, words + 3, count - 3, &sum))
			{
				answer("error: no such setting");
				return;
			}
		}
	}
	if (strcmp(command, "show") == 0)
		show(from, &sum);
	else
		answer("ok");
}


/* ---- all of it */

/* On a host's own end */
static void
make_plain(const char *interface)
{
	static const uint32_t commands[] = {ETHTOOL_STSO, ETHTOOL_SGSO, ETHTOOL_SGRO, ETHTOOL_STXCSUM};
	int			any = socket(AF_INET, SOCK_DGRAM, 0);

	if (any < 0)
		die("no socket: %s", strerror(errno));
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
	{
		struct ethtool_value value = {commands[i], 0};
		struct ifreq request = {0};

		snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", interface);
		request.ifr_data = (char *) &value;
		if (ioctl(any, SIOCETHTOOL, &request) != 0)
			die("cannot make %s plain: %s", interface, strerror(errno));
	}
	close(any);
}

static void
open_host(Host *host, char *word)
{
	char	   *address = strchr(word, '=');
	struct sockaddr_ll where = {.sll_family = AF_PACKET,.sll_protocol = htons(ETH_P_ALL)};
	const int	space = 4 * 1024 * 1024;
	const int	on = 1;

	if (address == NULL || inet_pton(AF_INET, address + 1, &host->address) != 1)
		die("not a host and its address: %s", word);
	*address = '\0';
	host->name = word;
	/* without a protocol nothing comes before it is bound */
	host->socket = socket(AF_PACKET, SOCK_RAW, 0);
	where.sll_ifindex = (int) if_nametoindex(word);
	if (host->socket < 0 || where.sll_ifindex == 0 ||
		setsockopt(host->socket, SOL_PACKET, PACKET_AUXDATA, &on, sizeof(on)) != 0 ||
		setsockopt(host->socket, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)) != 0 ||
		bind(host->socket, (struct sockaddr *) &where, sizeof(where)) != 0)
		die("cannot use the interface %s: %s", word, strerror(errno));
	/* as much as there is; more is only for the administrator */
	(void) setsockopt(host->socket, SOL_SOCKET, SO_RCVBUF, &space, sizeof(space));
	(void) setsockopt(host->socket, SOL_SOCKET, SO_SNDBUF, &space, sizeof(space));
}

/* Until the next packet is due; NULL is for ever */
static struct timespec *
time_left(struct timespec *left)
{
	uint64_t	now = now_us();
	uint64_t	us;

	if (queue_used == 0)
		return NULL;
	us = queue[0]->due > now ? queue[0]->due - now : 0;
	left->tv_sec = (time_t) (us / 1000000);
	left->tv_nsec = (long) (us % 1000000 * 1000);
	return left;
}

static void
serve(void)
{
	static Input input;
	struct pollfd ready[MAX_HOSTS + 1];
	char		line[sizeof(input.bytes)];
	char	   *words[MAX_WORDS];

	for (int i = 0; i < host_count; i++)
	{
		ready[i].fd = hosts[i].socket;
		ready[i].events = POLLIN;
	}
	ready[host_count].fd = STDIN_FILENO;
	ready[host_count].events = POLLIN;
	answer("ok");
	for (;;)
	{
		struct timespec left;
		int			count;

		if (ppoll(ready, (nfds_t) host_count + 1, time_left(&left), NULL) < 0)
		{
			if (errno == EINTR)
				continue;
			die("cannot wait: %s", strerror(errno));
		}
		if (ready[host_count].revents != 0 && !input_read(&input))
			return;
		while ((count = input_words(&input, line, words)) >= 0)
			obey(words, count);
		for (int i = 0; i < host_count; i++)
			if (ready[i].revents != 0)
				for (int n = 0; n < AT_ONCE && read_frame(i); n++)
					;
		while (queue_used > 0 && queue[0]->due <= now_us())
			deliver(queue_take());
	}
}

int
main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "--plain") == 0)
	{
		make_plain(argv[2]);
		return 0;
	}
	if (argc < 3 || argc > MAX_HOSTS + 1)
		die("usage: forwarder HOST=ADDRESS... | forwarder --plain INTERFACE");
	for (host_count = 0; host_count < argc - 1; host_count++)
		open_host(&hosts[host_count], argv[host_count + 1]);
	for (int i = 0; i < host_count; i++)
		for (int j = 0; j < host_count; j++)
			clear_treatment(&directions[i][j].treatment);
	serve();
	return 0;
}
