/*-------------------------------------------------------------------------
 *
 * ring_svg.c
 *	  The ring as a picture.
 *
 * Inside, the circle of keys: each slice has the colour of who owns its middle
 * first.  Around it the members, by zones, each as wide as its share of the
 * copies and filled as far as it holds what it owns; a rim says how it is.
 * Beside it a list.  The same ring, bodies and peers give the same bytes.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "utils/builtins.h"

#include "datum.h"
#include "identity.h"
#include "inventory.h"
#include "membership.h"
#include "place.h"
#include "stmt.h"
#include "store.h"

PG_FUNCTION_INFO_V1(ftchain_ring_svg);

#define CENTRE 330.0
#define KEYS_INNER 150.0
#define KEYS_OUTER 190.0
#define SHARE_INNER 202.0
#define SHARE_OUTER 252.0
#define RIM 257.0
#define LABELS 272.0
#define SLICES 720
#define ZONE_GAP 1.2			/* degrees between two zones */
#define LABELLED 24				/* more members have no names in the picture */
#define LIST_X 660.0
#define LIST_Y 136.0
#define LIST_MOST 120

/* How a member is, as far as this database can tell. */
typedef enum Health
{
	HEALTH_GOOD,
	HEALTH_INCOMPLETE,			/* lacks bodies that it owns */
	HEALTH_AWAY,				/* a peer that cannot be reached */
	HEALTH_UNKNOWN,				/* no peer of this database */
	HEALTH_DRAINED				/* owns nothing */
} Health;

static const char *const health_colours[] = {"#2f9e62", "#e0a100", "#d64545", "#a9b1bd", "#ccd2da"};
static const char *const health_words[] = {"complete", "incomplete", "not reached", "not a peer", "drained"};

typedef struct Slot
{
	uint32		member;
	uint32		zone;			/* in the order of their names */
	uint32		in_zone;		/* which of the members of the zone */
	uint32		zone_size;
	Health		health;
	char		colour[8];
	double		from;			/* degrees */
	double		to;
} Slot;

typedef struct Picture
{
	StringInfoData svg;
	const FtcChain *chain;
	const FtcState *state;
	const FtcRing *ring;
	const FtcLoad *load;
	int64		height;
	Slot	   *slots;			/* by zone, then by name */
	Slot	  **slot_of;		/* each member's */
	uint32		nzones;
} Picture;

static FtcStmt peer_states = {
	.sql = "SELECT p.member, coalesce(s.state IN ('idle', 'calling'), false) FROM ftchain.peer p"
	" LEFT JOIN ftchain.peer_status() s ON s.server = p.server",
	.nargs = 0,
};

/* ----------------------------------------------------------------
 *		Colours and health
 * ----------------------------------------------------------------
 */

/* Hue in degrees, the others from 0 to 1. */
static void
set_colour(char colour[8], double hue, double saturation, double lightness)
{
	double		rgb[3];

	for (int i = 0; i < 3; i++)
	{
		double		k = fmod((i == 0 ? 0 : i == 1 ? 8 : 4) + hue / 30, 12);
		double		a = saturation * Min(lightness, 1 - lightness);

		rgb[i] = lightness - a * Max(-1, Min(Min(k - 3, 9 - k), 1));
	}
	snprintf(colour, 8, "#%02x%02x%02x", (int) (rgb[0] * 255 + 0.5), (int) (rgb[1] * 255 + 0.5),
			 (int) (rgb[2] * 255 + 0.5));
}

/* Zones are told apart by hue, members of a zone by a little of it and by lightness. */
static void
choose_colour(const Picture *p, Slot *slot)
{
	double		spread = 330.0 / Max(p->nzones, 1);
	double		within = slot->zone_size > 1 ? (double) slot->in_zone / (slot->zone_size - 1) : 0.5;
	double		hue = fmod(215 + spread * slot->zone + spread * 0.55 * (within - 0.5) + 360, 360);

	set_colour(slot->colour, hue, 0.58, slot->zone_size == 1 ? 0.56 : slot->in_zone % 2 == 0 ? 0.50 : 0.64);
}

static Health
health_of(const Picture *p, uint32 member, bool known, bool reached)
{
	if (p->state->members[member].weight == 0)
		return HEALTH_DRAINED;
	if (!known)
		return HEALTH_UNKNOWN;
	if (!reached)
		return HEALTH_AWAY;
	return p->load[member].missing > 0 ? HEALTH_INCOMPLETE : HEALTH_GOOD;
}

static void
look_at_health(Picture *p)
{
	bool	   *known = palloc0(Max(p->state->nmembers, 1) * sizeof(bool));
	bool	   *reached = palloc0(Max(p->state->nmembers, 1) * sizeof(bool));
	uint64		n = ftc_stmt_run(&peer_states, NULL, NULL);
	const FtcMember *member;
	FtcIdentity self;

	for (uint64 i = 0; i < n; i++)
	{
		FtcHash		id = ftc_hash_value(i, 0);

		if ((member = ftc_state_find(p->state, &id)) == NULL)
			continue;
		known[member - p->state->members] = true;
		reached[member - p->state->members] |= DatumGetBool(ftc_value(i, 1));
	}
	if (ftc_identity_load(&self) && (member = ftc_state_find(p->state, &self.member)) != NULL)
		known[member - p->state->members] = reached[member - p->state->members] = true;
	for (uint32 i = 0; i < p->state->nmembers; i++)
		p->slot_of[i]->health = health_of(p, i, known[i], reached[i]);
}

/* ----------------------------------------------------------------
 *		Order and angles
 * ----------------------------------------------------------------
 */

static int
compare_slots(const void *a, const void *b, void *arg)
{
	const Picture *p = arg;
	const Slot *x = a;
	const Slot *y = b;
	FtcSlice	name = p->state->members[x->member].name;
	FtcSlice	other = p->state->members[y->member].name;
	int			order = (int) p->ring->members[x->member].zone - (int) p->ring->members[y->member].zone;

	/* short names first, which puts m9 before m10 */
	if (order == 0)
		order = (name.len > other.len) - (name.len < other.len);
	if (order == 0 && name.len > 0)
		order = memcmp(name.data, other.data, name.len);
	return order != 0 ? order : (x->member > y->member) - (x->member < y->member);
}

static void
order_slots(Picture *p)
{
	uint32		n = p->state->nmembers;

	p->slots = palloc0(Max(n, 1) * sizeof(Slot));
	p->slot_of = palloc(Max(n, 1) * sizeof(Slot *));
	for (uint32 i = 0; i < n; i++)
		p->slots[i].member = i;
	qsort_arg(p->slots, n, sizeof(Slot), compare_slots, p);
	for (uint32 i = 0, first = 0; i < n; i++)
	{
		if (i > 0 && p->ring->members[p->slots[i].member].zone != p->ring->members[p->slots[i - 1].member].zone)
		{
			p->nzones++;
			first = i;
		}
		p->slots[i].zone = p->nzones;
		p->slots[i].in_zone = i - first;
		for (uint32 j = first; j <= i; j++)
			p->slots[j].zone_size = i - first + 1;
		p->slot_of[p->slots[i].member] = &p->slots[i];
	}
	p->nzones += n > 0;
	for (uint32 i = 0; i < n; i++)
		choose_colour(p, &p->slots[i]);
}

/* Clockwise from the top, with a gap where a zone ends. */
static void
lay_out_slots(Picture *p)
{
	double		gap = p->nzones > 1 ? Min(ZONE_GAP, 90.0 / p->nzones) : 0;
	double		shares = 0;
	double		at = gap / 2;

	for (uint32 i = 0; i < p->state->nmembers; i++)
		shares += p->load[i].share;
	for (uint32 i = 0; i < p->state->nmembers; i++)
	{
		Slot	   *slot = &p->slots[i];

		if (i > 0 && slot->zone != p->slots[i - 1].zone)
			at += gap;
		slot->from = at;
		if (shares > 0)
			at += p->load[slot->member].share / shares * (360 - gap * p->nzones);
		slot->to = at;
	}
}

/* ----------------------------------------------------------------
 *		Drawing
 * ----------------------------------------------------------------
 */

static void
add_text(StringInfo svg, FtcSlice text)
{
	for (size_t i = 0; i < text.len; i++)
	{
		uint8		c = text.data[i];

		if (c == '<')
			appendStringInfoString(svg, "&lt;");
		else if (c == '>')
			appendStringInfoString(svg, "&gt;");
		else if (c == '&')
			appendStringInfoString(svg, "&amp;");
		else if (c == '"')
			appendStringInfoString(svg, "&quot;");
		else

			/*
			 * XML has no place for control characters, however they are
			 * written
			 */
			appendStringInfoChar(svg, c < ' ' || c == 0x7f ? '?' : (char) c);
	}
}

static double
x_at(double degrees, double radius)
{
	return CENTRE + radius * sin(degrees * M_PI / 180);
}

static double
y_at(double degrees, double radius)
{
	return CENTRE - radius * cos(degrees * M_PI / 180);
}

/* A piece of a band; one that goes all around is drawn as two halves. */
static void
add_sector(StringInfo svg, double from, double to, double inner, double outer, const char *attributes)
{
	int			large = to - from > 180;

	if (to - from >= 359.99)
	{
		add_sector(svg, from, from + 180, inner, outer, attributes);
		add_sector(svg, from + 180, from + 359.98, inner, outer, attributes);
		return;
	}
	appendStringInfo(svg, "<path d=\"M%.2f %.2fA%.2f %.2f 0 %d 1 %.2f %.2fL%.2f %.2fA%.2f %.2f 0 %d 0 %.2f %.2fZ\" %s/>\n",
					 x_at(from, outer), y_at(from, outer), outer, outer, large, x_at(to, outer), y_at(to, outer),
					 x_at(to, inner), y_at(to, inner), inner, inner, large, x_at(from, inner), y_at(from, inner),
					 attributes);
}

/* Slices of one owner side by side are one. */
static void
draw_keys(Picture *p)
{
	uint32		owner = 0;
	int			start = 0;

	appendStringInfoString(&p->svg, "<g>\n");
	for (int i = 0; i <= SLICES && p->ring->npoints > 0; i++)
	{
		uint64		key = (uint64) (((double) i + 0.5) / SLICES * 18446744073709549568.0);
		uint32		next = i < SLICES ? p->ring->owner[ftc_ring_lookup(p->ring, key)] : UINT32_MAX;

		if (i > 0 && next != owner)
		{
			add_sector(&p->svg, start * 360.0 / SLICES, i * 360.0 / SLICES, KEYS_INNER, KEYS_OUTER,
					   psprintf("fill=\"%s\"", p->slot_of[owner]->colour));
			start = i;
		}
		owner = next;
	}
	appendStringInfoString(&p->svg, "</g>\n");
}

static double
fullness(const FtcLoad *load)
{
	return load->owned == 0 ? 1 : (double) (load->owned - load->missing) / load->owned;
}

static void
draw_member(Picture *p, const Slot *slot)
{
	const FtcLoad *load = &p->load[slot->member];
	double		gap = (slot->to - slot->from) * 0.04 < 0.25 ? (slot->to - slot->from) * 0.04 : 0.25;
	double		from = slot->from + gap;
	double		to = slot->to - gap;

	if (slot->to <= slot->from)
		return;
	appendStringInfoString(&p->svg, "<g><title>");
	add_text(&p->svg, p->state->members[slot->member].name);
	appendStringInfo(&p->svg, ": %.2f %% of the keys, %s</title>\n", 100 * load->share, health_words[slot->health]);
	add_sector(&p->svg, from, to, SHARE_INNER, SHARE_OUTER,
			   psprintf("fill=\"%s\" fill-opacity=\"0.25\"", slot->colour));
	if (fullness(load) > 0)
		add_sector(&p->svg, from, to, SHARE_INNER,
				   SHARE_INNER + (SHARE_OUTER - SHARE_INNER) * fullness(load), psprintf("fill=\"%s\"", slot->colour));
	add_sector(&p->svg, from, to, RIM - 1.5, RIM + 2.5, psprintf("fill=\"%s\"", health_colours[slot->health]));
	appendStringInfoString(&p->svg, "</g>\n");
}

/* Names go outwards: to the right on the right half, to the left on the left. */
static void
draw_label(Picture *p, double degrees, FtcSlice text, const char *attributes)
{
	const char *anchor = degrees < 8 || degrees > 352 || (degrees > 172 && degrees < 188) ? "middle"
	: degrees < 180 ? "start" : "end";

	appendStringInfo(&p->svg, "<text x=\"%.2f\" y=\"%.2f\" text-anchor=\"%s\" %s>", x_at(degrees, LABELS),
					 y_at(degrees, LABELS) + 4, anchor, attributes);
	add_text(&p->svg, text);
	appendStringInfoString(&p->svg, "</text>\n");
}

static FtcSlice
zone_name(const Picture *p, const Slot *slot)
{
	FtcSlice	name = p->state->members[slot->member].zone;

	return name.len > 0 ? name : ftc_text_slice("(no zone)");
}

/* Few members have their names in the picture, many those of their zones. */
static void
draw_labels(Picture *p)
{
	for (uint32 i = 0, first = 0; i < p->state->nmembers; i++)
	{
		const Slot *slot = &p->slots[i];
		bool		last = i + 1 == p->state->nmembers || p->slots[i + 1].zone != slot->zone;

		if (p->state->nmembers <= LABELLED && slot->to > slot->from)
			draw_label(p, (slot->from + slot->to) / 2, p->state->members[slot->member].name,
					   "font-size=\"13\" fill=\"#2b3440\"");
		else if (p->state->nmembers > LABELLED && last && slot->to > p->slots[first].from)
			draw_label(p, (p->slots[first].from + slot->to) / 2, zone_name(p, slot),
					   "font-size=\"13\" font-weight=\"600\" fill=\"#2b3440\"");
		if (last)
			first = i + 1;
	}
}

/* How far the most loaded member is above what its weight says. */
static double
greatest_load(const Picture *p)
{
	double		most = 0;

	for (uint32 i = 0; i < p->state->nmembers; i++)
		if (p->load[i].fair > 0)
			most = Max(most, p->load[i].share / p->load[i].fair);
	return most;
}

static void
draw_middle(Picture *p)
{
	const char *line = "<text x=\"%.0f\" y=\"%.0f\" text-anchor=\"middle\" font-size=\"%d\" fill=\"%s\">";

	appendStringInfo(&p->svg, line, CENTRE, CENTRE - 24, 44, "#1d2530");
	appendStringInfo(&p->svg, "%u</text>\n", p->state->nmembers);
	appendStringInfo(&p->svg, line, CENTRE, CENTRE, 14, "#5b6673");
	appendStringInfo(&p->svg, "%s in %u %s</text>\n", p->state->nmembers == 1 ? "member" : "members", p->nzones,
					 p->nzones == 1 ? "zone" : "zones");
	appendStringInfo(&p->svg, line, CENTRE, CENTRE + 30, 14, "#5b6673");
	appendStringInfo(&p->svg, "%d %s of each body</text>\n", p->state->params.replicas,
					 p->state->params.replicas == 1 ? "copy" : "copies");
	appendStringInfo(&p->svg, line, CENTRE, CENTRE + 52, 14, "#5b6673");
	appendStringInfo(&p->svg, "greatest load %.2f</text>\n", greatest_load(p));
}

/* ----------------------------------------------------------------
 *		The list
 * ----------------------------------------------------------------
 */

typedef struct Layout
{
	uint32		rows;			/* of a column */
	double		step;			/* between two rows */
	double		width;			/* of a column */
	int			font;
	bool		details;
	double		page_width;
	double		page_height;
} Layout;

static Layout
lay_out_list(const Picture *p)
{
	uint32		n = Min(p->state->nmembers, LIST_MOST);
	uint32		columns = n <= LABELLED ? 1 : n <= 60 ? 2 : 3;
	Layout		l;

	l.details = columns == 1;
	l.rows = (n + columns - 1) / columns;
	l.step = n <= 14 ? 30 : columns == 1 ? 21 : Max(12.5, Min(18, 500.0 / l.rows));
	l.width = columns == 1 ? 480 : 172;
	l.font = columns == 1 ? 13 : 11;
	l.page_width = LIST_X + columns * l.width + 20;
	l.page_height = Max(660, LIST_Y + l.rows * l.step + 60);
	return l;
}

static FtcSlice
shorten(FtcSlice text, size_t most)
{
	if (text.len <= most)
		return text;

	/* not in the middle of a character */
	while (most > 0 && (text.data[most] & 0xc0) == 0x80)
		most--;
	return ftc_text_slice(psprintf("%.*s\xe2\x80\xa6", (int) most, text.data));
}

static void
add_cell(Picture *p, double x, double y, const char *anchor, const char *fill, FtcSlice text)
{
	appendStringInfo(&p->svg, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\" fill=\"%s\">", x, y, anchor, fill);
	add_text(&p->svg, text);
	appendStringInfoString(&p->svg, "</text>\n");
}

static void
write_details(Picture *p, const Slot *slot, double x, double y)
{
	const FtcMember *member = &p->state->members[slot->member];
	const FtcLoad *load = &p->load[slot->member];

	add_cell(p, x + 130, y, "start", "#5b6673", shorten(member->zone, 12));
	add_cell(p, x + 248, y, "end", "#5b6673", ftc_text_slice(psprintf("%u", member->weight)));
	add_cell(p, x + 308, y, "end", "#2b3440", ftc_text_slice(psprintf("%.1f %%", 100 * load->share)));
	add_cell(p, x + 378, y, "end", "#2b3440",
			 ftc_text_slice(psprintf("%lld / %lld", (long long) (load->owned - load->missing), (long long) load->owned)));
	appendStringInfo(&p->svg, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"4.5\" fill=\"%s\"/>\n", x + 396, y - 4.5,
					 health_colours[slot->health]);
	add_cell(p, x + 406, y, "start", "#5b6673", ftc_text_slice(health_words[slot->health]));
}

static void
write_briefly(Picture *p, const Slot *slot, double x, double y)
{
	add_cell(p, x + 140, y, "end", "#5b6673",
			 ftc_text_slice(psprintf("%.2f %%", 100 * p->load[slot->member].share)));
	appendStringInfo(&p->svg, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3.5\" fill=\"%s\"/>\n", x + 151, y - 3.8,
					 health_colours[slot->health]);
}

static void
write_head(Picture *p)
{
	static const char *const words[] = {"member", "zone", "weight", "of keys", "bodies", "state"};
	static const double at[] = {0, 130, 248, 308, 378, 396};

	for (size_t i = 0; i < lengthof(words); i++)
		add_cell(p, LIST_X + at[i], LIST_Y - 26, i >= 2 && i <= 4 ? "end" : "start", "#8a94a1",
				 ftc_text_slice(words[i]));
}

static void
draw_list(Picture *p, const Layout *l)
{
	uint32		n = Min(p->state->nmembers, LIST_MOST);

	appendStringInfo(&p->svg, "<g font-size=\"%d\">\n", l->font);
	if (l->details)
		write_head(p);
	for (uint32 i = 0; i < n; i++)
	{
		const Slot *slot = &p->slots[i];
		double		x = LIST_X + i / l->rows * l->width;
		double		y = LIST_Y + i % l->rows * l->step;

		appendStringInfo(&p->svg, "<rect x=\"%.1f\" y=\"%.1f\" width=\"10\" height=\"10\" rx=\"2.5\" fill=\"%s\"/>\n",
						 x, y - 9.5, slot->colour);
		add_cell(p, x + 17, y, "start", "#1d2530",
				 shorten(p->state->members[slot->member].name, l->details ? 15 : 12));
		if (l->details)
			write_details(p, slot, x, y);
		else
			write_briefly(p, slot, x, y);
	}
	if (n < p->state->nmembers)
		add_cell(p, LIST_X, LIST_Y + l->rows * l->step + 8, "start", "#8a94a1",
				 ftc_text_slice(psprintf("and %u more", p->state->nmembers - n)));
	appendStringInfoString(&p->svg, "</g>\n");
}

/* What the colours of the rim and of the dots say. */
static void
draw_legend(Picture *p, const Layout *l)
{
	double		x = LIST_X;

	appendStringInfoString(&p->svg, "<g font-size=\"12\">\n");
	for (size_t i = 0; i < lengthof(health_words); i++)
	{
		appendStringInfo(&p->svg, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"4.5\" fill=\"%s\"/>\n", x + 5,
						 l->page_height - 31, health_colours[i]);
		add_cell(p, x + 15, l->page_height - 27, "start", "#5b6673", ftc_text_slice(health_words[i]));
		x += 28 + 6.6 * strlen(health_words[i]);
	}
	appendStringInfoString(&p->svg, "</g>\n");
}

static void
draw_title(Picture *p)
{
	appendStringInfo(&p->svg, "<text x=\"%.0f\" y=\"44\" font-size=\"22\" font-weight=\"600\" fill=\"#1d2530\">Chain ",
					 LIST_X);
	add_text(&p->svg, shorten(ftc_text_slice(p->chain->name), 24));
	appendStringInfo(&p->svg, "</text>\n<text x=\"%.0f\" y=\"64\" font-size=\"13\" fill=\"#5b6673\">height %lld</text>\n",
					 LIST_X, (long long) p->height);
	appendStringInfo(&p->svg, "<text x=\"%.0f\" y=\"84\" font-size=\"12\" fill=\"#8a94a1\">inside: who owns a key first;"
					 " outside: shares of the copies, filled as far as held</text>\n", LIST_X);
}

static void
draw(Picture *p)
{
	Layout		l = lay_out_list(p);

	initStringInfo(&p->svg);
	appendStringInfo(&p->svg, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\" viewBox=\"0 0 %.0f %.0f\""
					 " font-family=\"Inter, 'Helvetica Neue', Helvetica, Arial, 'DejaVu Sans', sans-serif\">\n<title>Chain ",
					 l.page_width, l.page_height, l.page_width, l.page_height);
	add_text(&p->svg, ftc_text_slice(p->chain->name));
	appendStringInfo(&p->svg, "</title>\n<rect width=\"100%%\" height=\"100%%\" fill=\"#ffffff\"/>\n");
	draw_keys(p);
	for (uint32 i = 0; i < p->state->nmembers; i++)
		draw_member(p, &p->slots[i]);
	draw_labels(p);
	draw_middle(p);
	draw_title(p);
	draw_list(p, &l);
	draw_legend(p, &l);
	appendStringInfoString(&p->svg, "</svg>\n");
}

Datum
ftchain_ring_svg(PG_FUNCTION_ARGS)
{
	char	   *name = ftc_place_chain_arg(fcinfo);
	MemoryContext outer;
	FtcScope	scope;
	FtcChain	chain;
	Picture		p = {0};
	text	   *result;

	ftc_enter(&scope);
	ftc_freeze();
	p.state = ftc_place_state(&chain, name);
	p.chain = &chain;
	p.ring = ftc_place_make_ring(p.state);
	p.height = ftc_store_main_height(chain.id);
	p.load = ftc_inventory_load(&chain, p.state);
	order_slots(&p);
	look_at_health(&p);
	lay_out_slots(&p);
	draw(&p);
	ftc_thaw();
	outer = MemoryContextSwitchTo(scope.caller);
	result = cstring_to_text_with_len(p.svg.data, p.svg.len);
	MemoryContextSwitchTo(outer);
	ftc_leave(&scope);
	PG_RETURN_TEXT_P(result);
}
