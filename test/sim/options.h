/*-------------------------------------------------------------------------
 *
 * options.h
 *	  What the command lines of the simulators have in common, and making a
 *	  failure small.
 *
 * A seed has kinds of faults, by number, each with a name; the program has their
 * names, how often a seed has each, and says what is wrong with its arguments.
 *
 *-------------------------------------------------------------------------
 */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "random.h"

/* The program's: prints how it is called, and ends it. */
extern void usage(void) __attribute__((noreturn));

/* Arguments; what is no number and so on is for usage(). */
extern uint64_t option_number(const char *text);
extern void option_range(const char *text, uint64_t *first, uint64_t *count);	/* FIRST:COUNT */
extern bool option_choice(const char *text, const char *yes, const char *no);

/* FAULT,FAULT...: each is set to that. */
extern void option_faults(const char *text, const char *const *names, int n, int *faults, int to);

/* The options that make these faults of those that the seed has drawn. */
extern void print_faults(const char *const *names, int n, const bool *drawn, const bool *faults);

/* Each with its chance, in a thousand. */
extern void draw_faults(Random *random, const uint32_t *how_often, int n, bool *faults);

/*
 * Settings that fail are made smaller in one way after the other, as long as they
 * fail.
 */
typedef struct Shrinking
{
	size_t		size;			/* of the settings */
	int			ways;
	bool		(*fails) (const void *settings);
	bool		(*smaller) (void *settings, int way);	/* false if it cannot be
														 * made so */
} Shrinking;

extern void shrink_settings(const Shrinking *how, void *settings);

#endif							/* OPTIONS_H */
