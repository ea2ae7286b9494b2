/*-------------------------------------------------------------------------
 *
 * ring_moves.c
 *	  What a change of members would move, without making it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"

#include "core/sha256.h"
#include "datum.h"
#include "inventory.h"
#include "membership.h"
#include "place.h"
#include "stmt.h"

PG_FUNCTION_INFO_V1(ftchain_ring_moves);

static FtcStmt peer_member = {
	.sql = "SELECT member FROM ftchain.peer WHERE server = $1",
	.nargs = 1,
	.argtypes = {TEXTOID},
};

/* The arguments, before any statement is run. */
typedef struct Wish
{
	char	   *member;
	int32		weight;
	char	   *zone;
} Wish;

typedef struct Wishes
{
	List	   *add;			/* of char * */
	List	   *remove;			/* of char * */
	List	   *reweight;		/* of Wish */
	List	   *set_zone;		/* of Wish */
} Wishes;

/* Copies that move from one member to another. */
typedef struct Route
{
	uint32		from;
	uint32		to;
} Route;

typedef struct Move
{
	Route		route;
	uint64		arcs;			/* in 2^-64ths of the circle */
	uint32		circles;		/* whole ones besides */
	int64		bodies;
	int64		bytes;
} Move;

/*
 * Two states of the same members: who is in one of them only is in the other
 * one as well, without weight.
 */
typedef struct Prediction
{
	FtcState	before;
	FtcState	after;
	FtcRing    *old_ring;
	FtcRing    *new_ring;
	HTAB	   *moves;
	const FtcKeptBody *body;	/* at hand */
} Prediction;

/* ----------------------------------------------------------------
 *		Arguments
 * ----------------------------------------------------------------
 */

static List *
names_arg(FunctionCallInfo fcinfo, int i, const char *name)
{
	List	   *names = NIL;
	Datum	   *datums;
	bool	   *nulls;
	int			n;

	if (PG_ARGISNULL(i))
		return NIL;
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(i), TEXTOID, -1, false, TYPALIGN_INT, &datums, &nulls, &n);
	for (int j = 0; j < n; j++)
	{
		if (nulls[j])
			ereport(ERROR,
					errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					errmsg("\"%s\" must not contain nulls", name));
		names = lappend(names, TextDatumGetCString(datums[j]));
	}
	return names;
}

pg_noreturn static void
refuse_object(const char *name, const char *example)
{
	ereport(ERROR,
			errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			errmsg("\"%s\" is not an object of members", name),
			errhint("Write it like %s.", example));
}

static void
set_wish(Wish *wish, const JsonbValue *value, bool is_weight, const char *name, const char *example)
{
	if (value->type != (is_weight ? jbvNumeric : jbvString))
		refuse_object(name, example);
	if (is_weight)
		wish->weight = DatumGetInt32(DirectFunctionCall1(numeric_int4, NumericGetDatum(value->val.numeric)));
	else
		wish->zone = pnstrdup(value->val.string.val, value->val.string.len);
}

/* {"member": value, ...} */
static List *
wishes_arg(FunctionCallInfo fcinfo, int i, bool is_weight, const char *name, const char *example)
{
	List	   *wishes = NIL;
	JsonbIterator *it;
	JsonbIteratorToken token;
	JsonbValue	value;
	Jsonb	   *object;

	if (PG_ARGISNULL(i))
		return NIL;
	object = PG_GETARG_JSONB_P(i);
	if (!JB_ROOT_IS_OBJECT(object))
		refuse_object(name, example);
	it = JsonbIteratorInit(&object->root);
	while ((token = JsonbIteratorNext(&it, &value, true)) != WJB_DONE)
	{
		Wish	   *wish;

		if (token != WJB_KEY)
			continue;
		wish = palloc0(sizeof(Wish));
		wish->member = pnstrdup(value.val.string.val, value.val.string.len);
		(void) JsonbIteratorNext(&it, &value, true);
		set_wish(wish, &value, is_weight, name, example);
		wishes = lappend(wishes, wish);
	}
	return wishes;
}

/* ----------------------------------------------------------------
 *		The state as it would be
 * ----------------------------------------------------------------
 */

/*
 * Who is no peer yet has an id that nobody knows: one made up of its name owns
 * as much, if not the same.
 */
static FtcHash
id_of_newcomer(const char *name)
{
	if (ftc_run(&peer_member, CStringGetTextDatum(name)) > 0)
		return ftc_hash_value(0, 0);
	return ftc_sha256(ftc_text_slice(name));
}

static void
add_member(const FtcChain *chain, FtcState *state, char *name)
{
	FtcHash		id = id_of_newcomer(name);
	FtcMember  *member;
	uint32		at = 0;

	if (ftc_state_find(state, &id) != NULL)
		ereport(ERROR,
				errcode(ERRCODE_DUPLICATE_OBJECT),
				errmsg("\"%s\" is a member of chain \"%s\" already", name, chain->name));
	state->members = repalloc(state->members, (state->nmembers + 1) * sizeof(FtcMember));
	while (at < state->nmembers && ftc_hash_compare(&state->members[at].id, &id) < 0)
		at++;
	member = &state->members[at];
	memmove(member + 1, member, (state->nmembers - at) * sizeof(FtcMember));
	state->nmembers++;
	memset(member, 0, sizeof(*member));
	member->id = id;
	member->name = ftc_text_slice(name);
	member->zone = ftc_text_slice("");
	member->weight = 1;
}

static FtcMember *
find_member(const FtcChain *chain, FtcState *state, const char *name)
{
	return &state->members[ftc_membership_find(chain, state, name) - state->members];
}

/* What is under way, and the wishes upon it. */
static FtcState *
apply_wishes(const FtcChain *chain, const FtcState *current, const Wishes *wishes)
{
	FtcState   *state = ftc_membership_next(chain, current);
	uint64		weights = 0;
	ListCell   *cell;

	foreach(cell, wishes->add)
		add_member(chain, state, lfirst(cell));
	foreach(cell, wishes->reweight)
	{
		const Wish *wish = lfirst(cell);

		find_member(chain, state, wish->member)->weight = ftc_membership_weight(wish->weight);
	}
	foreach(cell, wishes->set_zone)
	{
		const Wish *wish = lfirst(cell);

		find_member(chain, state, wish->member)->zone = ftc_membership_zone(wish->zone);
	}
	/* without weight: as good as gone, and others may still be named after it */
	foreach(cell, wishes->remove)
		find_member(chain, state, lfirst(cell))->weight = 0;
	for (uint32 i = 0; i < state->nmembers; i++)
		weights += state->members[i].weight;
	if (state->nmembers > FTC_MEMBERS_MAX || weights > FTC_WEIGHTS_MAX)
		ereport(ERROR,
				errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				errmsg("chain \"%s\" would have too many members", chain->name),
				errdetail("It may have %d, with %d of weight in all.", FTC_MEMBERS_MAX, FTC_WEIGHTS_MAX));
	return state;
}

static void
put_both(Prediction *p, const FtcMember *before, const FtcMember *after)
{
	FtcMember  *old = &p->before.members[p->before.nmembers++];
	FtcMember  *new = &p->after.members[p->after.nmembers++];

	*old = before != NULL ? *before : *after;
	*new = after != NULL ? *after : *before;
	if (before == NULL)
		old->weight = 0;
	if (after == NULL)
		new->weight = 0;
}

static void
merge_states(Prediction *p, const FtcState *before, const FtcState *after)
{
	uint32		i = 0;
	uint32		j = 0;

	p->before = *before;
	p->after = *after;
	p->before.members = palloc((before->nmembers + after->nmembers + 1) * sizeof(FtcMember));
	p->after.members = palloc((before->nmembers + after->nmembers + 1) * sizeof(FtcMember));
	p->before.nmembers = p->after.nmembers = 0;
	while (i < before->nmembers || j < after->nmembers)
	{
		int			order = i == before->nmembers ? 1 : j == after->nmembers ? -1
		: ftc_hash_compare(&before->members[i].id, &after->members[j].id);

		put_both(p, order <= 0 ? &before->members[i] : NULL, order >= 0 ? &after->members[j] : NULL);
		i += order <= 0;
		j += order >= 0;
	}
}

/* ----------------------------------------------------------------
 *		What moves
 * ----------------------------------------------------------------
 */

static Move *
move_of(Prediction *p, uint32 from, uint32 to)
{
	Route		route = {.from = from,.to = to};
	bool		found;
	Move	   *move = hash_search(p->moves, &route, HASH_ENTER, &found);

	if (!found)
		memset((char *) move + sizeof(Route), 0, sizeof(Move) - sizeof(Route));
	return move;
}

static void
add_arc(void *arg, uint32 from, uint32 to, uint64 arc)
{
	Move	   *move;

	/* a copy that nobody gets instead is just left where it is */
	if (to == FTC_ARCS_NOBODY)
		return;
	move = move_of(arg, from, to);
	move->arcs += arc;
	move->circles += move->arcs < arc;
}

/* Who has the body need not fetch it. */
static void
add_body(void *arg, uint32 from, uint32 to, uint64 arc)
{
	Prediction *p = arg;
	const FtcHash *member = to == FTC_ARCS_NOBODY ? NULL : &p->after.members[to].id;
	Move	   *move;

	if (member == NULL || ftc_hash_equal(&p->body->proposer, member) || ftc_inventory_states(p->body, member))
		return;
	move = move_of(p, from, to);
	move->bodies++;
	move->bytes += p->body->bytes;
}

static void
compare_body(void *arg, const FtcKeptBody *body)
{
	Prediction *p = arg;

	p->body = body;
	ftc_arcs_key_moved(p->old_ring, p->new_ring, ftc_ring_key(&body->block), p->before.params.replicas,
					   add_body, p);
}

/* Whatever the way, who owns more in the end has to get that. */
static double
least_share(const Prediction *p)
{
	uint32		n = p->before.nmembers;
	uint64	   *old = palloc(Max(n, 1) * sizeof(uint64));
	uint64	   *new = palloc(Max(n, 1) * sizeof(uint64));
	double		least = 0;

	ftc_arcs_owned(p->old_ring, p->before.params.replicas, old);
	ftc_arcs_owned(p->new_ring, p->after.params.replicas, new);
	for (uint32 i = 0; i < n; i++)
		least += Max(0, ftc_arcs_share(&p->new_ring->members[i], new[i]) -
					 ftc_arcs_share(&p->old_ring->members[i], old[i]));
	return least;
}

static void
predict(Prediction *p, const FtcChain *chain)
{
	HASHCTL		control = {.keysize = sizeof(Route),.entrysize = sizeof(Move),.hcxt = CurrentMemoryContext};

	p->moves = hash_create("ftchain moves", 256, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	p->old_ring = ftc_place_make_ring(&p->before);
	p->new_ring = ftc_place_make_ring(&p->after);
	ftc_arcs_moved(p->old_ring, p->new_ring, p->before.params.replicas, add_arc, p);
	ftc_inventory_each(chain, compare_body, p);
}

/* ----------------------------------------------------------------
 *		SQL
 * ----------------------------------------------------------------
 */

static int
compare_moves(const ListCell *a, const ListCell *b)
{
	const Route *x = &((const Move *) lfirst(a))->route;
	const Route *y = &((const Move *) lfirst(b))->route;

	if (x->from != y->from)
		return x->from < y->from ? -1 : 1;
	return x->to < y->to ? -1 : x->to > y->to;
}

static void
set_member(const Prediction *p, uint32 member, Datum *values, bool *nulls)
{
	nulls[0] = nulls[1] = member == FTC_ARCS_NOBODY;
	if (nulls[0])
		return;
	values[0] = PointerGetDatum(ftc_slice_text(p->after.members[member].name));
	values[1] = ftc_hash_datum(&p->after.members[member].id);
}

static void
put_moves(ReturnSetInfo *rsinfo, Prediction *p)
{
	Datum		least = Float8GetDatum(least_share(p));
	HASH_SEQ_STATUS seq;
	List	   *moves = NIL;
	ListCell   *cell;
	Move	   *move;

	hash_seq_init(&seq, p->moves);
	while ((move = hash_seq_search(&seq)) != NULL)
		moves = lappend(moves, move);
	list_sort(moves, compare_moves);
	foreach(cell, moves)
	{
		Datum		values[8] = {0};
		bool		nulls[8] = {false};

		move = lfirst(cell);
		set_member(p, move->route.from, values, nulls);
		set_member(p, move->route.to, values + 2, nulls + 2);
		values[4] = Float8GetDatum(move->circles + (double) move->arcs / 18446744073709551616.0);
		values[5] = Int64GetDatum(move->bodies);
		values[6] = Int64GetDatum(move->bytes);
		values[7] = least;
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
}

Datum
ftchain_ring_moves(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	char	   *name = ftc_place_chain_arg(fcinfo);
	Wishes		wishes;
	Prediction	p = {0};
	FtcScope	scope;
	FtcChain	chain;
	FtcState   *current;

	wishes.add = names_arg(fcinfo, 1, "add");
	wishes.remove = names_arg(fcinfo, 2, "remove");
	wishes.reweight = wishes_arg(fcinfo, 3, true, "reweight", "{\"member\": 2}");
	wishes.set_zone = wishes_arg(fcinfo, 4, false, "set_zone", "{\"member\": \"north\"}");
	InitMaterializedSRF(fcinfo, 0);
	ftc_enter(&scope);
	ftc_freeze();
	current = ftc_place_state(&chain, name);
	merge_states(&p, current, apply_wishes(&chain, current, &wishes));
	predict(&p, &chain);
	put_moves(rsinfo, &p);
	ftc_thaw();
	ftc_leave(&scope);
	return (Datum) 0;
}
