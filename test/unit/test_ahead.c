/*-------------------------------------------------------------------------
 *
 * test_ahead.c
 *	  Tests of sender.c and receiver.c: the two ends of a link, where messages
 *	  come out of order.
 *
 *-------------------------------------------------------------------------
 */
#include "test_util.h"

#include "receiver.h"
#include "sender.h"

#define BYTES 100				/* of a message */
#define SEGMENT 10				/* messages of one */

/* Messages are numbers. */
static FtcHash
message_hash(uint64_t seq)
{
	return hash_of("message", seq);
}

static bool
value_at(void *arg, uint64_t epoch, uint64_t base, uint64_t seq, FtcHash *value)
{
	(void) arg;
	*value = hash_of("epoch", epoch);
	for (uint64_t i = 1; i < seq; i++)
	{
		FtcHash		hash = message_hash(base + i);

		*value = ftc_link_advance(value, &hash, &hash);
	}
	return true;
}

static FtcLog
some_log(uint64_t end)
{
	FtcLog		log = {.horizon = 1,.end = end,.value_at = value_at};

	return log;
}

typedef struct Ends
{
	FtcSender	sender;
	FtcReceiver receiver;
	FtcLog		log;
	uint64_t	now;
} Ends;

static FtcAck
said(const Ends *ends)
{
	FtcAck		ack;

	ftc_receiver_say(&ends->receiver, &ack);
	return ack;
}

static Ends
two_ends(uint64_t messages)
{
	Ends		ends = {.log = some_log(messages + 1),.now = 1000};
	FtcLinkEnd	end = {.epoch = 1,.next = 1};
	FtcAck		ack;

	value_at(NULL, 1, 0, 1, &end.value);
	ftc_sender_init(&ends.sender, &end, 0);
	ftc_receiver_init(&ends.receiver, &end);
	ack = said(&ends);
	assert_int_equal(ftc_sender_hello(&ends.sender, &ends.log, &ack), FTC_HEARD_NOTHING);
	return ends;
}

/* The next segment leaves: gives its order, 0 if there is none. */
static uint64_t
leave(Ends *ends, uint64_t *first, uint64_t *next)
{
	FtcGrant	grant;

	if (!ftc_sender_next(&ends->sender, &ends->log, ends->now, &grant))
		return 0;
	*first = grant.first;
	*next = grant.first + (grant.messages < SEGMENT ? grant.messages : SEGMENT);
	return ftc_sender_sent(&ends->sender, *first, *next, (*next - *first) * BYTES, ends->now++);
}

static void
arrive(Ends *ends, uint64_t first, uint64_t next)
{
	for (uint64_t seq = first; seq < next; seq++)
		if (ftc_receiver_judge(&ends->receiver, 1, seq, BYTES) == FTC_LINK_HOLD)
			assert_true(ftc_receiver_hold(&ends->receiver, seq, BYTES));
		else if (seq == ends->receiver.end.next)
			do
			{
				FtcHash		hash = message_hash(ends->receiver.end.next);

				ftc_receiver_advance(&ends->receiver, &hash, &hash, BYTES);
			} while (ftc_receiver_has_next(&ends->receiver));
}

static FtcHeard
answer(Ends *ends, uint64_t order)
{
	FtcAck		ack = said(ends);

	ends->now += 1000;
	return ftc_sender_ack(&ends->sender, &ends->log, &ack, order, ends->now);
}

/* Of some segments under way the second fails alone: it alone is sent again. */
static void
test_one_fails(void **state)
{
	Ends		ends = two_ends(5 * SEGMENT);
	uint64_t	orders[5];
	uint64_t	first;
	uint64_t	next;

	(void) state;
	for (int i = 0; i < 5; i++)
	{
		orders[i] = leave(&ends, &first, &next);
		assert_int_equal(first, 1 + i * SEGMENT);
		if (i != 1)
			arrive(&ends, first, next);
	}
	assert_int_equal(answer(&ends, orders[0]), FTC_HEARD_MOVED);
	ftc_sender_failed(&ends.sender, orders[1], ends.now);
	for (int i = 2; i < 5; i++)
		assert_int_equal(answer(&ends, orders[i]), FTC_HEARD_NOTHING);
	orders[1] = leave(&ends, &first, &next);
	assert_true(first == 1 + SEGMENT && next == 1 + 2 * SEGMENT);
	assert_int_equal(leave(&ends, &first, &next), 0);
	arrive(&ends, first, next);
	assert_int_equal(answer(&ends, orders[1]), FTC_HEARD_MOVED);
	assert_int_equal(ends.sender.end.next, 1 + 5 * SEGMENT);
	assert_true(ends.sender.n == 0 && ends.sender.again == 1 && ends.sender.failed == 1);
	assert_int_equal(leave(&ends, &first, &next), 0);
}

/* A receiver may forget what it has put aside; then that is sent again. */
static void
test_forgotten(void **state)
{
	Ends		ends = two_ends(3 * SEGMENT);
	uint64_t	orders[3];
	uint64_t	first;
	uint64_t	next;

	(void) state;
	for (int i = 0; i < 3; i++)
	{
		orders[i] = leave(&ends, &first, &next);
		if (i > 0)
			arrive(&ends, first, next);
	}
	ftc_sender_failed(&ends.sender, orders[0], ends.now);
	(void) answer(&ends, orders[1]);
	(void) answer(&ends, orders[2]);
	orders[0] = leave(&ends, &first, &next);
	assert_int_equal(first, 1);
	ftc_receiver_drop(&ends.receiver);
	arrive(&ends, first, next);
	assert_int_equal(answer(&ends, orders[0]), FTC_HEARD_MOVED);
	for (uint64_t seq = 1 + SEGMENT; seq < 1 + 3 * SEGMENT; seq = next)
	{
		orders[0] = leave(&ends, &first, &next);
		assert_int_equal(first, seq);
		arrive(&ends, first, next);
		(void) answer(&ends, orders[0]);
	}
	assert_int_equal(ends.sender.end.next, 1 + 3 * SEGMENT);
}

/* What a hello tells of is passed over. */
static void
test_hello_tells(void **state)
{
	Ends		ends = two_ends(5 * SEGMENT);
	FtcAck		ack;
	uint64_t	order;
	uint64_t	first;
	uint64_t	next;

	(void) state;
	arrive(&ends, 6, 8);
	arrive(&ends, 20, 30);
	ftc_sender_cut(&ends.sender);
	ack = said(&ends);
	(void) ftc_sender_hello(&ends.sender, &ends.log, &ack);
	order = leave(&ends, &first, &next);
	assert_true(first == 1 && next == 6);
	arrive(&ends, first, next);
	assert_int_equal(answer(&ends, order), FTC_HEARD_MOVED);
	assert_int_equal(ends.sender.end.next, 8);
	order = leave(&ends, &first, &next);
	assert_true(first == 8 && next == 18);
	(void) leave(&ends, &first, &next);
	assert_true(first == 18 && next == 20);
	(void) leave(&ends, &first, &next);
	assert_true(first == 30 && next == 40);
}

/* One that can take nothing is shown a single message, when its time has come. */
static void
test_no_room(void **state)
{
	Ends		ends = two_ends(5 * SEGMENT);
	uint64_t	order;
	uint64_t	first;
	uint64_t	next;

	(void) state;
	order = leave(&ends, &first, &next);
	arrive(&ends, 1, 4);
	ends.receiver.stopped = true;
	arrive(&ends, 5, next);
	assert_int_equal(answer(&ends, order), FTC_HEARD_MOVED);
	for (int i = 0; i < 3; i++)
	{
		order = leave(&ends, &first, &next);
		assert_true(order != 0 && first == 4 && next == 5);
		assert_int_equal(leave(&ends, &first, &next), 0);
		(void) answer(&ends, order);
		assert_int_equal(leave(&ends, &first, &next), 0);
		ends.now = ftc_sender_deadline(&ends.sender, ends.now);
	}
	order = leave(&ends, &first, &next);
	arrive(&ends, first, next);
	assert_int_equal(answer(&ends, order), FTC_HEARD_MOVED);
	assert_int_equal(ends.sender.end.next, 1 + SEGMENT);
	assert_true(leave(&ends, &first, &next) != 0 && first == 1 + SEGMENT && next == 1 + 2 * SEGMENT);
}

/* Bounds of what is put aside. */
static void
test_bounds(void **state)
{
	Ends		ends = two_ends(1);
	FtcReceiver *receiver = &ends.receiver;

	(void) state;
	assert_int_equal(ftc_receiver_judge(receiver, 1, 1, 0), FTC_LINK_APPLY);
	assert_int_equal(ftc_receiver_judge(receiver, 1, 2, 0), FTC_LINK_HOLD);
	assert_int_equal(ftc_receiver_judge(receiver, 1, 1 + FTC_RECEIVE_AHEAD, 0), FTC_LINK_HOLD);
	assert_int_equal(ftc_receiver_judge(receiver, 1, 2 + FTC_RECEIVE_AHEAD, 0), FTC_LINK_GAP);
	assert_int_equal(ftc_receiver_judge(receiver, 1, 2, FTC_RECEIVE_BYTES), FTC_LINK_HOLD);
	assert_int_equal(ftc_receiver_judge(receiver, 1, 2, FTC_RECEIVE_BYTES + 1), FTC_LINK_GAP);
	assert_int_equal(ftc_receiver_judge(receiver, 2, 2, 0), FTC_LINK_GAP);
	for (uint64_t i = 0; i < FTC_SACKS_MAX; i++)
		assert_true(ftc_receiver_hold(receiver, 3 + 2 * i, 1));
	assert_false(ftc_receiver_hold(receiver, 3, 1));
	assert_false(ftc_receiver_hold(receiver, 500, 1));
	assert_true(ftc_receiver_hold(receiver, 4, 1));
	assert_int_equal(receiver->n, FTC_SACKS_MAX - 1);
	assert_int_equal(receiver->held_bytes, FTC_SACKS_MAX + 1);
	/* the next one may be there, too: it could not be taken */
	assert_true(ftc_receiver_hold(receiver, 1, 1));
	assert_true(ftc_receiver_has_next(receiver));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		test(test_one_fails),
		test(test_forgotten),
		test(test_hello_tells),
		test(test_no_room),
		test(test_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
