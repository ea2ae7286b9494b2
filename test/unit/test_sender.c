/*-------------------------------------------------------------------------
 *
 * test_sender.c
 *	  Tests of sender.c, receiver.c and rtt.c: the ends of a link, step by step.
 *	  test/linksim lets chance decide what comes next.
 *
 *-------------------------------------------------------------------------
 */
#include "test_util.h"

#include "receiver.h"
#include "sender.h"

#define MS UINT64_C(1000)
#define SECOND UINT64_C(1000000)
#define LOG_MAX 100

/* A log of messages, both ends of its link, and what the sender remembers. */
typedef struct Ends
{
	FtcLog		log;
	FtcSender	sender;
	FtcReceiver receiver;
	FtcHash		messages[LOG_MAX];	/* by position */
	uint64_t	reach;			/* of other epochs; 0: nothing is known */
} Ends;

static bool
value_at(void *arg, uint64_t epoch, uint64_t base, uint64_t seq, FtcHash *value)
{
	const Ends *ends = arg;

	*value = hash_of("epoch", epoch);
	for (uint64_t at = 1; at < seq; at++)
	{
		if (base + at < ends->log.horizon || base + at >= ends->log.end)
			return false;
		*value = ftc_link_advance(value, &ends->messages[base + at], &ends->messages[base + at]);
	}
	return true;
}

static bool
reach_of(void *arg, uint64_t epoch, uint64_t next, uint64_t *position)
{
	(void) epoch;
	(void) next;
	*position = ((Ends *) arg)->reach;
	return *position > 0;
}

/* An open link with so many messages to send. */
static void
begin(Ends *ends, bool replays, uint64_t n)
{
	FtcLinkEnd	none = {0, 1, {{0}}};
	FtcAck		ack;

	memset(ends, 0, sizeof(*ends));
	ends->log = (FtcLog)
	{
		.arg = ends,.horizon = 1,.end = 1,.replays = replays,.value_at = value_at,.reach_of = reach_of
	};
	for (int i = 0; i < LOG_MAX; i++)
		ends->messages[i] = hash_of("message", (uint64_t) i);
	ftc_receiver_init(&ends->receiver, &none);
	ftc_sender_init(&ends->sender, &none, 0);
	assert_int_equal(ftc_sender_restart(&ends->sender, &ends->log, 1), FTC_HEARD_RESTARTED);
	ends->log.end = n + 1;
	ftc_receiver_say(&ends->receiver, &ack);
	assert_int_equal(ftc_sender_hello(&ends->sender, &ends->log, &ack), FTC_HEARD_NOTHING);
}

/* One message leaves; gives its order. */
static uint64_t
send_one(Ends *ends, uint64_t seq, uint64_t now)
{
	FtcGrant	grant;

	assert_true(ftc_sender_next(&ends->sender, &ends->log, now, &grant));
	assert_int_equal(grant.first, seq);
	return ftc_sender_sent(&ends->sender, seq, seq + 1, 100, now);
}

/* It comes; gives what the receiver says then. */
static FtcAck
receive(Ends *ends, uint64_t seq, bool takes)
{
	FtcReceiver *r = &ends->receiver;
	const FtcHash *message = &ends->messages[ends->sender.base + seq];
	FtcHash		start = hash_of("epoch", ends->sender.end.epoch);
	FtcAck		ack;

	switch (ftc_receiver_judge(r, ends->sender.end.epoch, seq, 100))
	{
		case FTC_LINK_NEW_EPOCH:
			ftc_receiver_open(r, ends->sender.end.epoch, &start);
			/* FALLTHROUGH */
		case FTC_LINK_APPLY:
			if (takes)
				ftc_receiver_advance(r, message, message, 100);
			break;
		case FTC_LINK_HOLD:
			assert_true(ftc_receiver_hold(r, seq, 100));
			break;
		default:
			break;
	}
	while (takes && ftc_receiver_has_next(r))
	{
		message = &ends->messages[ends->sender.base + r->end.next];
		ftc_receiver_advance(r, message, message, 100);
	}
	ftc_receiver_say(r, &ack);
	return ack;
}

static FtcHeard
hear(Ends *ends, const FtcAck *ack, uint64_t order, uint64_t now)
{
	return ftc_sender_ack(&ends->sender, &ends->log, ack, order, now);
}

/* The receiver has that many messages of the epoch, and all is acknowledged. */
static void
send_all(Ends *ends, uint64_t n)
{
	for (uint64_t seq = ends->sender.end.next; seq <= n; seq++)
	{
		uint64_t	order = send_one(ends, seq, seq * MS);
		FtcAck		ack = receive(ends, seq, true);

		assert_int_equal(hear(ends, &ack, order, seq * MS + 500), FTC_HEARD_MOVED);
	}
}

static FtcHeard
hello(Ends *ends, const FtcLinkEnd *end)
{
	FtcAck		ack = {.end = *end,.room_messages = 10,.room_bytes = 1000};

	ftc_sender_cut(&ends->sender);
	return ftc_sender_hello(&ends->sender, &ends->log, &ack);
}

static void
test_stream(void **state)
{
	Ends		ends;

	(void) state;
	begin(&ends, true, 20);
	send_all(&ends, 20);
	assert_int_equal(ends.sender.again, 0);
	assert_int_equal(ends.sender.end.next, 21);
	assert_hash_equal(&ends.sender.end.value, &ends.receiver.end.value);
	assert_int_equal(ftc_sender_deadline(&ends.sender, SECOND), UINT64_MAX);
}

/*
 * The first is lost.  What comes behind it is held, and when three have come it
 * is sent again, alone.
 */
static void
test_gap(void **state)
{
	Ends		ends;
	uint64_t	order[5];
	FtcAck		ack;
	FtcGrant	grant;

	(void) state;
	begin(&ends, true, 6);
	send_all(&ends, 2);
	for (uint64_t seq = 3; seq <= 6; seq++)
		order[seq - 2] = send_one(&ends, seq, 10 * MS);
	for (uint64_t seq = 4; seq <= 6; seq++)
	{
		assert_false(ftc_sender_next(&ends.sender, &ends.log, 11 * MS, &grant));
		ack = receive(&ends, seq, true);
		assert_int_equal(ack.end.next, 3);
		assert_int_equal(hear(&ends, &ack, order[seq - 2], 11 * MS), FTC_HEARD_NOTHING);
	}
	order[1] = send_one(&ends, 3, 12 * MS);
	assert_false(ftc_sender_next(&ends.sender, &ends.log, 12 * MS, &grant));
	ack = receive(&ends, 3, true);
	assert_int_equal(hear(&ends, &ack, order[1], 13 * MS), FTC_HEARD_MOVED);
	assert_int_equal(ends.sender.end.next, 7);
	assert_int_equal(ends.sender.again, 1);
}

/*
 * The gap is filled, but what was held cannot be taken: nobody would try again if
 * the receiver said that it has it, or the sender believed it for ever.
 */
static void
test_held_not_taken(void **state)
{
	Ends		ends;
	uint64_t	order[4];
	FtcAck		ack;
	FtcGrant	grant;

	(void) state;
	begin(&ends, true, 4);
	send_all(&ends, 1);
	for (uint64_t seq = 2; seq <= 4; seq++)
		order[seq - 1] = send_one(&ends, seq, 10 * MS);
	ack = receive(&ends, 3, true);
	assert_int_equal(hear(&ends, &ack, order[2], 11 * MS), FTC_HEARD_NOTHING);
	ack = receive(&ends, 4, true);
	assert_int_equal(hear(&ends, &ack, order[3], 11 * MS), FTC_HEARD_NOTHING);
	assert_int_equal(ack.n, 1);
	assert_true(ack.sacks[0].first == 3 && ack.sacks[0].last == 4);

	ftc_receiver_advance(&ends.receiver, &ends.messages[2], &ends.messages[2], 100);
	assert_true(ftc_receiver_has_next(&ends.receiver));
	ftc_receiver_say(&ends.receiver, &ack);
	assert_int_equal(ack.n, 1);
	assert_true(ack.sacks[0].first == 4 && ack.sacks[0].last == 4);
	assert_int_equal(hear(&ends, &ack, order[1], 12 * MS), FTC_HEARD_MOVED);
	order[0] = send_one(&ends, 3, 13 * MS);
	assert_false(ftc_sender_next(&ends.sender, &ends.log, 13 * MS, &grant));
	ack = receive(&ends, 3, true);
	assert_int_equal(hear(&ends, &ack, order[0], 14 * MS), FTC_HEARD_MOVED);
	assert_int_equal(ends.sender.end.next, 5);
}

/* As long as something comes, what is behind it is not overdue. */
static void
test_progress(void **state)
{
	Ends		ends;
	uint64_t	order[11];
	uint64_t	now = 10 * SECOND;

	(void) state;
	begin(&ends, true, 11);
	send_all(&ends, 1);
	for (uint64_t seq = 2; seq <= 11; seq++)
		order[seq - 1] = send_one(&ends, seq, now);
	for (uint64_t seq = 2; seq <= 11; seq++)
	{
		FtcAck		ack = receive(&ends, seq, true);

		now += 150 * MS;
		assert_false(ftc_sender_timeout(&ends.sender, now));
		assert_int_equal(hear(&ends, &ack, order[seq - 1], now), FTC_HEARD_MOVED);
	}
	assert_int_equal(ends.sender.again, 0);

	/* and then nothing comes */
	ends.log.end++;
	(void) send_one(&ends, 12, now);
	assert_int_equal(ftc_sender_deadline(&ends.sender, now), now + ftc_rtt_timeout(&ends.sender.rtt));
	assert_true(ftc_sender_timeout(&ends.sender, ftc_sender_deadline(&ends.sender, now)));
	assert_int_equal(ends.sender.window, FTC_WINDOW_MIN);
}

/*
 * What opens an epoch goes alone: those behind it would be dropped, and sent again
 * and again, as long as it is late.
 */
static void
test_opening(void **state)
{
	Ends		ends;
	uint64_t	order[6];
	FtcAck		ack;
	FtcGrant	grant;

	(void) state;
	begin(&ends, true, 5);
	order[0] = send_one(&ends, 1, MS);
	assert_false(ftc_sender_next(&ends.sender, &ends.log, MS, &grant));
	ftc_sender_failed(&ends.sender, order[0], 2 * MS);
	order[1] = send_one(&ends, 1, 2 * MS);
	assert_false(ftc_sender_next(&ends.sender, &ends.log, 2 * MS, &grant));
	/* it opens the epoch, though it cannot be taken */
	ack = receive(&ends, 1, false);
	assert_int_equal(ack.end.epoch, 1);
	assert_int_equal(hear(&ends, &ack, order[1], 3 * MS), FTC_HEARD_NOTHING);
	for (uint64_t seq = 1; seq <= 5; seq++)
		order[seq] = send_one(&ends, seq, 3 * SECOND);
	for (uint64_t seq = 1; seq <= 5; seq++)
	{
		ack = receive(&ends, seq, true);
		assert_int_equal(hear(&ends, &ack, order[seq], 3 * SECOND + MS), FTC_HEARD_MOVED);
	}
	assert_int_equal(ends.sender.again, 2);
}

/*
 * A receiver that was in this epoch and says to be in one before was set back, though
 * the connection has outlived that.
 */
static void
test_epoch_before(void **state)
{
	Ends		ends;
	FtcAck		before;
	FtcAck		ack;
	uint64_t	order;

	(void) state;
	begin(&ends, true, 5);
	ftc_receiver_say(&ends.receiver, &before);
	order = send_one(&ends, 1, MS);
	ack = receive(&ends, 1, false);
	assert_int_equal(hear(&ends, &ack, order, 2 * MS), FTC_HEARD_NOTHING);
	/* what it said before is no news */
	assert_int_equal(hear(&ends, &before, order, 2 * MS), FTC_HEARD_NOTHING);
	order = send_one(&ends, 1, SECOND);
	assert_int_equal(hear(&ends, &before, order, SECOND), FTC_HEARD_DOUBT);
}

/* A receiver without room is asked with one message, however many were lost. */
static void
test_probe(void **state)
{
	Ends		ends;
	uint64_t	order[6];
	FtcAck		ack;
	FtcGrant	grant;

	(void) state;
	begin(&ends, true, 6);
	send_all(&ends, 1);
	for (uint64_t seq = 2; seq <= 6; seq++)
		order[seq - 1] = send_one(&ends, seq, 10 * MS);
	ack = receive(&ends, 2, true);
	ack.room_messages = 0;
	assert_int_equal(hear(&ends, &ack, order[1], 11 * MS), FTC_HEARD_MOVED);
	for (uint64_t seq = 3; seq <= 6; seq++)
		assert_int_equal(hear(&ends, &ack, order[seq - 1], 11 * MS), FTC_HEARD_NOTHING);
	(void) send_one(&ends, 3, ends.sender.hold_until);
	assert_false(ftc_sender_next(&ends.sender, &ends.log, ends.sender.hold_until, &grant));
}

/*
 * The receiver held what was sent on a connection before this one: that it has
 * more than was sent on this one is no reason to doubt.
 */
static void
test_more_than_sent(void **state)
{
	Ends		ends;
	FtcAck		ack;
	FtcGrant	grant;
	FtcLinkEnd	end;
	uint64_t	order;

	(void) state;
	begin(&ends, true, 4);
	send_all(&ends, 1);
	(void) receive(&ends, 3, true);
	end = ends.receiver.end;
	assert_int_equal(hello(&ends, &end), FTC_HEARD_NOTHING);
	order = send_one(&ends, 2, MS);
	ack = receive(&ends, 2, true);
	assert_int_equal(ack.end.next, 4);
	assert_int_equal(hear(&ends, &ack, order, 2 * MS), FTC_HEARD_MOVED);
	assert_true(ftc_sender_next(&ends.sender, &ends.log, 2 * MS, &grant));
	assert_int_equal(grant.first, 4);
	/* but not more than there is */
	order = send_one(&ends, 4, 2 * MS);
	ack.end.next = 6;
	assert_int_equal(hear(&ends, &ack, order, 3 * MS), FTC_HEARD_DOUBT);
}

/* A receiver that was set back is followed, as long as what it lacks is kept. */
static void
test_receiver_set_back(void **state)
{
	Ends		ends;
	FtcLinkEnd	before;

	(void) state;
	begin(&ends, true, 20);
	send_all(&ends, 10);
	before = ends.receiver.end;
	send_all(&ends, 20);
	assert_int_equal(hello(&ends, &before), FTC_HEARD_MOVED);
	assert_int_equal(ends.sender.end.next, 11);
	/* from the start of the epoch its value cannot be told any more */
	ends.log.horizon = 11;
	ends.sender.end.next = 21;
	assert_int_equal(hello(&ends, &before), FTC_HEARD_RESTARTED);
	assert_int_equal(ends.sender.end.epoch, 2);
	assert_int_equal(ends.sender.base, 10);
	assert_int_equal(ends.sender.floor, 10);

	begin(&ends, true, 20);
	send_all(&ends, 20);
	ends.log.horizon = 12;
	assert_int_equal(hello(&ends, &before), FTC_HEARD_RESYNC);
	assert_int_equal(ends.sender.end.epoch, 1);
	/* who is told of it once need not be told again */
	ftc_sender_cut(&ends.sender);
	assert_int_equal(ends.sender.state, FTC_SENDER_RESYNC);
	ends.log.horizon = 10;
	assert_int_equal(hello(&ends, &before), FTC_HEARD_RESTARTED);
	assert_int_equal(ends.sender.state, FTC_SENDER_OPEN);
}

/*
 * The sender was set back to where it had sent ten, and the receiver has twenty:
 * ten of them are no more.  Whatever stands there now, that it has not.
 */
static void
test_sender_set_back(void **state)
{
	Ends		ends;
	FtcLinkEnd	twenty;

	(void) state;
	begin(&ends, true, 20);
	send_all(&ends, 10);
	ends.log.end = 11;
	for (int i = 11; i < LOG_MAX; i++)
		ends.messages[i] = hash_of("another", (uint64_t) i);
	twenty = (FtcLinkEnd)
	{
		1, 21, hash_of("twenty", 0)
	};
	ends.log.end = 31;
	assert_int_equal(hello(&ends, &twenty), FTC_HEARD_RESTARTED);
	assert_int_equal(ends.sender.end.epoch, 2);
	assert_int_equal(ends.sender.base, 0);
	assert_int_equal(ends.sender.floor, 10);
	/* within an epoch, too: what it has acknowledged is all that counts */
	ends.sender.end.epoch = 1;
	ends.sender.end.next = 11;
	ends.sender.floor = 0;
	ends.log.horizon = 12;
	assert_int_equal(hello(&ends, &twenty), FTC_HEARD_RESYNC);
	ends.log.horizon = 11;
	assert_int_equal(hello(&ends, &twenty), FTC_HEARD_RESTARTED);
}

/* What is known of other epochs decides whether something may be missing. */
static void
test_other_epochs(void **state)
{
	Ends		ends;
	FtcLinkEnd	old;

	(void) state;
	begin(&ends, true, 30);
	send_all(&ends, 10);
	old = ends.receiver.end;
	assert_int_equal(ftc_sender_restart(&ends.sender, &ends.log, 2), FTC_HEARD_RESTARTED);
	ends.log.horizon = 21;
	ends.sender.base = 20;
	/* nothing of epoch 2 was acknowledged: it begins, if nothing is missing */
	ends.reach = 20;
	assert_int_equal(hello(&ends, &old), FTC_HEARD_NOTHING);
	assert_int_equal(ends.sender.end.epoch, 2);
	ends.reach = 19;
	assert_int_equal(hello(&ends, &old), FTC_HEARD_RESYNC);
	ends.reach = 0;
	assert_int_equal(hello(&ends, &old), FTC_HEARD_RESYNC);
	/* an operator has given up what is before a position, and no more */
	ends.log.given_up = 20;
	assert_int_equal(hello(&ends, &old), FTC_HEARD_NOTHING);
	ends.log.horizon = 22;
	assert_int_equal(hello(&ends, &old), FTC_HEARD_RESYNC);
	/* an epoch that we do not know we began before we were set back */
	old.epoch = 7;
	ends.log.given_up = 0;
	assert_int_equal(hello(&ends, &old), FTC_HEARD_RESTARTED);
	assert_int_equal(ends.sender.end.epoch, 8);
	assert_int_equal(ends.sender.floor, 21);
}

/* The floor of an epoch holds while its messages come again. */
static void
test_floor(void **state)
{
	Ends		ends;
	FtcLinkEnd	end;

	(void) state;
	begin(&ends, true, 30);
	send_all(&ends, 20);
	end = ends.receiver.end;
	end.value = hash_of("another", 0);
	assert_int_equal(hello(&ends, &end), FTC_HEARD_RESTARTED);
	assert_int_equal(ends.sender.floor, 20);
	send_all(&ends, 5);
	ends.log.horizon = 10;
	assert_int_equal(hello(&ends, &ends.receiver.end), FTC_HEARD_RESTARTED);
	assert_int_equal(ends.sender.base, 9);
	assert_int_equal(ends.sender.floor, 20);
}

/* Announcements are not replayed: what is gone others will tell. */
static void
test_ledger(void **state)
{
	Ends		ends;
	FtcLinkEnd	end;

	(void) state;
	begin(&ends, false, 30);
	send_all(&ends, 20);
	end = ends.receiver.end;
	end.value = hash_of("another", 0);
	ends.log.horizon = 25;
	assert_int_equal(hello(&ends, &end), FTC_HEARD_RESTARTED);
	assert_int_equal(ends.sender.base, 30);
	assert_int_equal(hello(&ends, &end), FTC_HEARD_NOTHING);
	assert_int_equal(ends.sender.end.epoch, 2);
}

/* What is not taken is sent again, ever more seldom. */
static void
test_hold_back(void **state)
{
	Ends		ends;
	FtcGrant	grant;
	uint64_t	now = SECOND;
	uint64_t	before = 0;

	(void) state;
	begin(&ends, true, 5);
	send_all(&ends, 1);
	for (int i = 0; i < 5; i++)
	{
		uint64_t	order = send_one(&ends, 2, now);
		FtcAck		ack = receive(&ends, 2, false);

		assert_int_equal(hear(&ends, &ack, order, now), FTC_HEARD_NOTHING);
		assert_true(ends.sender.hold_until - now > before);
		assert_false(ftc_sender_next(&ends.sender, &ends.log, ends.sender.hold_until - 1, &grant));
		assert_int_equal(ftc_sender_deadline(&ends.sender, now), ends.sender.hold_until);
		before = ends.sender.hold_until - now;
		now = ends.sender.hold_until;
	}
	send_one(&ends, 2, now);
	/* a call that failed is made again at once, and then it waits */
	begin(&ends, true, 5);
	ftc_sender_failed(&ends.sender, send_one(&ends, 1, now), now);
	ftc_sender_failed(&ends.sender, send_one(&ends, 1, now), now);
	assert_false(ftc_sender_next(&ends.sender, &ends.log, now, &grant));
}

/* Answers to what was sent before the last hello say nothing. */
static void
test_old_answers(void **state)
{
	Ends		ends;
	FtcAck		ack;
	FtcAck		old;
	uint64_t	order;

	(void) state;
	begin(&ends, true, 10);
	send_all(&ends, 3);
	ftc_receiver_say(&ends.receiver, &old);
	order = send_one(&ends, 4, SECOND);
	ack = receive(&ends, 4, true);
	assert_int_equal(hello(&ends, &ack.end), FTC_HEARD_MOVED);
	assert_int_equal(hear(&ends, &old, order, SECOND), FTC_HEARD_NOTHING);
	assert_int_equal(ends.sender.state, FTC_SENDER_OPEN);
	/* but one that comes after, and shows less than was acknowledged, does */
	order = send_one(&ends, 5, SECOND);
	assert_int_equal(hear(&ends, &old, order, SECOND), FTC_HEARD_DOUBT);
	assert_int_equal(ends.sender.state, FTC_SENDER_CLOSED);
}

/*
 * A crash has taken the positions of the last call, and its messages have others
 * now.  The receiver says where it was before that call, and from there on the rest is
 * sent in a new epoch; if it does not, or was there in another way, all is.
 */
static void
test_positions_lost(void **state)
{
	Ends		ends;
	FtcSender	sender;
	FtcAck		ack;
	FtcHash		message;

	(void) state;
	begin(&ends, true, 10);
	send_all(&ends, 7);
	sender = ends.sender;
	ftc_receiver_begin(&ends.receiver);
	for (uint64_t seq = 8; seq <= 10; seq++)
		ack = receive(&ends, seq, true);
	assert_int_equal(ack.end.next, 11);
	assert_int_equal(ack.before.next, 8);
	message = ends.messages[8];
	ends.messages[8] = ends.messages[10];
	ends.messages[10] = message;
	ends.log.end = 10;

	assert_int_equal(ftc_sender_hello(&ends.sender, &ends.log, &ack), FTC_HEARD_RESTARTED);
	assert_int_equal(ends.sender.base, 7);
	assert_int_equal(ends.sender.floor, 7);
	assert_int_equal(ends.sender.end.epoch, 2);
	assert_int_equal(ends.sender.state, FTC_SENDER_OPEN);

	ends.sender = sender;
	ack.before.value.b[0] ^= 1;
	assert_int_equal(ftc_sender_hello(&ends.sender, &ends.log, &ack), FTC_HEARD_RESTARTED);
	assert_int_equal(ends.sender.base, 0);
	assert_int_equal(ends.sender.floor, 7);

	ends.sender = sender;
	ack.before = (FtcLinkEnd)
	{
		0
	};
	assert_int_equal(ftc_sender_hello(&ends.sender, &ends.log, &ack), FTC_HEARD_RESTARTED);
	assert_int_equal(ends.sender.base, 0);
}

/* RFC 6298, with its numbers. */
static void
test_rtt(void **state)
{
	FtcRtt		rtt = {0};

	(void) state;
	assert_int_equal(ftc_rtt_timeout(&rtt), SECOND);
	ftc_rtt_sample(&rtt, 400 * MS);
	assert_int_equal(ftc_rtt_timeout(&rtt), 1200 * MS);
	ftc_rtt_sample(&rtt, 800 * MS);
	assert_int_equal(rtt.variation, 250 * MS);
	assert_int_equal(rtt.smoothed, 450 * MS);
	ftc_rtt_back_off(&rtt);
	assert_int_equal(ftc_rtt_timeout(&rtt), 2900 * MS);
	for (int i = 0; i < 100; i++)
		ftc_rtt_back_off(&rtt);
	assert_int_equal(ftc_rtt_timeout(&rtt), FTC_RTO_MAX);
	ftc_rtt_sample(&rtt, 450 * MS);
	assert_int_equal(rtt.backoff, 0);
	for (int i = 0; i < 100; i++)
		ftc_rtt_sample(&rtt, MS);
	assert_int_equal(ftc_rtt_timeout(&rtt), FTC_RTO_MIN);
	/* a steady line leaves no variation, and a call may be a little late */
	for (int i = 0; i < 100; i++)
		ftc_rtt_sample(&rtt, 300 * MS);
	assert_in_range(ftc_rtt_timeout(&rtt), 345 * MS, 355 * MS);
	for (uint64_t i = 0; i < 1000; i++)
		assert_in_range(ftc_jitter(1000, i * 7919), 750, 1250);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		test(test_stream),
		test(test_gap),
		test(test_held_not_taken),
		test(test_progress),
		test(test_opening),
		test(test_epoch_before),
		test(test_probe),
		test(test_more_than_sent),
		test(test_receiver_set_back),
		test(test_sender_set_back),
		test(test_other_epochs),
		test(test_floor),
		test(test_ledger),
		test(test_hold_back),
		test(test_old_answers),
		test(test_positions_lost),
		test(test_rtt),
	};

	return cmocka_run_group_tests_name("sender", tests, NULL, NULL);
}
