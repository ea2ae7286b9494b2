/*-------------------------------------------------------------------------
 *
 * test_presence.c
 *	  Tests of presence.c: who lives twice is found out, and nobody else.
 *
 *-------------------------------------------------------------------------
 */
#include "test_util.h"

#include "presence.h"

#define SEEDS 3000
#define UNDER_WAY 12

static TestRandom chance;

static uint64_t
draw(uint64_t below)
{
	return random_below(&chance, below);
}

/* A process of a member, with one session at a time. */
typedef struct Process
{
	uint64_t	incarnation;
	uint64_t	session;
	uint64_t	token;
} Process;

/* A world in which messages take as long as they like. */
typedef struct World
{
	FtcPresence presence;
	uint64_t	sessions;
	uint64_t	tokens;
	int			n;
	FtcHere		under_way[UNDER_WAY];
} World;

static void
connect_anew(World *world, Process *process)
{
	process->session = ++world->sessions;
	process->token = 0;
}

/* The peer hears of somebody, and answers who it is if that can still hear it. */
static bool
arrive(World *world, const FtcHere *here, Process *processes, int n, uint64_t *other)
{
	uint64_t	token = ++world->tokens;
	bool		told = ftc_presence_hear(&world->presence, here, token, other);

	for (int i = 0; i < n; i++)
		if (processes[i].session == here->session && draw(4) > 0)
			processes[i].token = token;
	return told;
}

/* One of them says that it is here; something that is under way arrives, or not. */
static bool
go_on(World *world, Process *processes, int n)
{
	const Process *process = &processes[draw((uint64_t) n)];
	FtcHere		here = {process->session, process->incarnation, process->token};
	uint64_t	other = 0;
	int			i;
	bool		told;

	if (world->n < UNDER_WAY)
		world->under_way[world->n++] = here;
	i = (int) draw((uint64_t) world->n);
	here = world->under_way[i];
	if (draw(8) == 0)
		return false;
	told = arrive(world, &here, processes, n, &other);
	if (draw(8) > 0)
		world->under_way[i] = world->under_way[--world->n];
	if (told)
		assert_int_not_equal(other, 0);
	return told;
}

/*
 * One copy at a time, set back, restarted and connected anew however often, with
 * incarnations that go up and down, over a network that does what it likes.
 */
static void
test_one_is_one(void **state)
{
	(void) state;
	for (int i = 1; i <= SEEDS; i++)
	{
		World		world = {0};
		Process		process = {.incarnation = 1};

		chance = random_from((uint64_t) i);
		connect_anew(&world, &process);
		for (int step = 0; step < 200; step++)
		{
			if (draw(10) == 0)
				connect_anew(&world, &process);
			if (draw(20) == 0)
			{
				process.incarnation = 1 + draw(5);
				connect_anew(&world, &process);
			}
			assert_false(go_on(&world, &process, 1));
		}
	}
}

/* Two at a time: always found out, over the same network. */
static void
test_two_are_two(void **state)
{
	(void) state;
	for (int i = 1; i <= SEEDS; i++)
	{
		World		world = {0};
		Process		processes[2] = {{.incarnation = 1}, {.incarnation = 2}};
		bool		told = false;

		chance = random_from((uint64_t) i);
		connect_anew(&world, &processes[0]);
		connect_anew(&world, &processes[1]);
		for (int step = 0; step < 2000 && !told; step++)
		{
			if (draw(100) == 0)
				connect_anew(&world, &processes[draw(2)]);
			told = go_on(&world, processes, 2);
		}
		assert_true(told);
	}
}

static bool
say(FtcPresence *presence, Process *process, uint64_t *other)
{
	static uint64_t tokens = 100;
	FtcHere		here = {process->session, process->incarnation, process->token};

	process->token = ++tokens;
	return ftc_presence_hear(presence, &here, process->token, other);
}

/* Over a good network: when each is told, and that it ends with the other. */
static void
test_each_is_told(void **state)
{
	FtcPresence presence = {0};
	Process		a = {10, 1, 0};
	Process		b = {20, 2, 0};
	uint64_t	other = 0;

	(void) state;
	assert_false(say(&presence, &a, &other));
	assert_false(say(&presence, &a, &other));
	assert_false(say(&presence, &b, &other));
	assert_false(say(&presence, &a, &other));
	assert_false(say(&presence, &b, &other));	/* a may have ended before b
												 * began */
	assert_true(say(&presence, &a, &other));
	assert_int_equal(other, 20);
	assert_true(say(&presence, &b, &other));
	assert_int_equal(other, 10);
	/* b ends; what it did last is news once */
	(void) say(&presence, &a, &other);
	(void) say(&presence, &a, &other);
	for (int i = 0; i < 100; i++)
		assert_false(say(&presence, &a, &other));
	/* and a third comes */
	b.session = 3;
	b.incarnation = a.incarnation;
	b.token = 0;
	for (int i = 0; i < 3; i++)
	{
		(void) say(&presence, &b, &other);
		(void) say(&presence, &a, &other);
	}
	assert_true(say(&presence, &b, &other));
	assert_int_equal(other, a.incarnation);
}

/* Sessions that are over make room. */
static void
test_many_sessions(void **state)
{
	FtcPresence presence = {0};
	Process		process = {1, 0, 0};
	uint64_t	other;

	(void) state;
	for (uint64_t i = 1; i < 100; i++)
	{
		process.session = i;
		process.token = 0;
		for (int j = 0; j < 3; j++)
			assert_false(say(&presence, &process, &other));
		assert_in_range(presence.n, 1, FTC_SESSIONS_MAX);
	}
}

static void
test_digest(void **state)
{
	FtcHash		receiver = {{0}};
	FtcHere		here = {1, 2, 3};
	FtcHash		digest = ftc_presence_digest(&receiver, &here);
	FtcHash		another;

	(void) state;
	here.token = 4;
	another = ftc_presence_digest(&receiver, &here);
	assert_false(ftc_hash_equal(&digest, &another));
	here.token = 3;
	receiver.b[31] = 1;
	another = ftc_presence_digest(&receiver, &here);
	assert_false(ftc_hash_equal(&digest, &another));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		test(test_one_is_one),
		test(test_two_are_two),
		test(test_each_is_told),
		test(test_many_sessions),
		test(test_digest),
	};

	return cmocka_run_group_tests_name("presence", tests, NULL, NULL);
}
