/*-------------------------------------------------------------------------
 *
 * options.c
 *	  What the command lines of the simulators have in common, and making a
 *	  failure small.
 *
 *-------------------------------------------------------------------------
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"

static uint64_t
number(const char *text, char **end)
{
	if (text == NULL || *text <'0' || *text >'9')
		usage();
	return strtoull(text, end, 10);
}

uint64_t
option_number(const char *text)
{
	char	   *end;
	uint64_t	n = number(text, &end);

	if (*end != '\0')
		usage();
	return n;
}

void
option_range(const char *text, uint64_t *first, uint64_t *count)
{
	char	   *end;

	*first = number(text, &end);
	if (*end != ':')
		usage();
	*count = option_number(end + 1);
}

bool
option_choice(const char *text, const char *yes, const char *no)
{
	if (text == NULL || (strcmp(text, yes) != 0 && strcmp(text, no) != 0))
		usage();
	return strcmp(text, yes) == 0;
}

void
option_faults(const char *text, const char *const *names, int n, int *faults, int to)
{
	while (text !=NULL && *text !='\0')
	{
		size_t		len = strcspn(text, ",");
		int			i = 0;

		while (i < n && (strlen(names[i]) != len || strncmp(names[i], text, len) != 0))
			i++;
		if (i == n)
			usage();
		faults[i] = to;
		text	  +=len + (text[len] == ',');
	}
}

void
print_faults(const char *const *names, int n, const bool *drawn, const bool *faults)
{
	for (int with = 0; with < 2; with++)
	{
		const char *before = with ? " --with " : " --without ";

		for (int i = 0; i < n; i++)
			if (drawn[i] != faults[i] && faults[i] == (with == 1))
			{
				printf("%s%s", before, names[i]);
				before = ",";
			}
	}
}

void
draw_faults(Random *random, const uint32_t *how_often, int n, bool *faults)
{
	for (int i = 0; i < n; i++)
		faults[i] = random_chance(random, how_often[i]);
}

static bool
try_way(const Shrinking *how, void *settings, void *tried, int way)
{
	memcpy(tried, settings, how->size);
	if (!how->smaller(tried, way) || !how->fails(tried))
		return false;
	memcpy(settings, tried, how->size);
	return true;
}

void
shrink_settings(const Shrinking *how, void *settings)
{
	void	   *tried = malloc(how->size);
	bool		smaller;

	do
	{
		smaller = false;
		for (int way = 0; way < how->ways; way++)
			smaller |= try_way(how, settings, tried, way);
	} while (smaller);
	free(tried);
}
