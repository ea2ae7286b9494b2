/*-------------------------------------------------------------------------
 *
 * hint.c
 *	  What a worker remembers of each chain, or each member, for as long as it runs.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "hint.h"

void *
ftc_hint(HTAB **hints, const char *name, Size key_size, Size size, const void *key)
{
	HASHCTL		control = {.keysize = key_size,.entrysize = size,.hcxt = TopMemoryContext};
	bool		found;
	char	   *hint;

	if (*hints == NULL)
		*hints = hash_create(name, 16, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	hint = hash_search(*hints, key, HASH_ENTER, &found);
	if (!found)
		memset(hint + key_size, 0, size - key_size);
	return hint;
}
