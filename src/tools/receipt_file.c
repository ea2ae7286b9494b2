/*-------------------------------------------------------------------------
 *
 * receipt_file.c
 *	  Receipts, from their json.
 *
 *-------------------------------------------------------------------------
 */
#include "receipt_file.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "alloc.h"

/* ----------------------------------------------------------------
 *		Base64
 * ----------------------------------------------------------------
 */

static int
digit(char c)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = c == '\0' ? NULL : strchr(digits, c);

	return at == NULL ? -1 : (int) (at - digits);
}

/* Four characters, of which the last ones may be padding; gives the bytes. */
static int
decode_four(const char *text, uint8_t *bytes)
{
	int			n = text[3] != '=' ? 4 : text[2] != '=' ? 3 : 2;
	uint32_t	value = 0;

	for (int i = 0; i < 4; i++)
	{
		int			d = i < n ? digit(text[i]) : 0;

		if (d < 0 || (i >= n && text[i] != '='))
			return -1;
		value = value << 6 | (uint32_t) d;
	}
	/* bits that are not used are zero: one text for each value */
	if ((n == 3 && (value & 0xff) != 0) || (n == 2 && (value & 0xffff) != 0))
		return -1;
	for (int i = 0; i < n - 1; i++)
		bytes[i] = (uint8_t) (value >> (16 - 8 * i));
	return n - 1;
}

int64_t
ftc_base64_decode(const char *text, size_t len, uint8_t *bytes)
{
	int64_t		n = 0;

	if (len % 4 != 0)
		return -1;
	for (size_t i = 0; i < len; i += 4)
	{
		int			got = decode_four(text +i, bytes + n);

		if (got < 0 || (got < 3 && i + 4 < len))
			return -1;
		n += got;
	}
	return n;
}

/* ----------------------------------------------------------------
 *		Fields
 * ----------------------------------------------------------------
 */

/* Memory that goes with the receipt. */
typedef struct Piece
{
	struct Piece *next;
	max_align_t data[];
} Piece;

typedef struct Reading
{
	FtcReceiptFile *file;
	const		json_t *object;
	bool		ok;
} Reading;

static void *
keep(Reading *r, size_t len)
{
	Piece	   *piece = ftc_realloc(NULL, sizeof(Piece) + len, 1);

	piece->next = r->file->memory;
	r->file->memory = piece;
	return piece->data;
}

static FtcSlice
decode(Reading *r, const json_t * value)
{
	size_t		len = json_string_length(value);
	uint8_t    *bytes = keep(r, len / 4 * 3 + 3);
	int64_t		n = json_is_string(value) ? ftc_base64_decode(json_string_value(value), len, bytes) : -1;

	if (n < 0)
		r->ok = false;
	return ftc_slice(bytes, n < 0 ? 0 : (size_t) n);
}

static FtcSlice
get_bytes(Reading *r, const char *name)
{
	return decode(r, json_object_get(r->object, name));
}

static void
get_fixed(Reading *r, const char *name, void *into, size_t len)
{
	FtcSlice	bytes = get_bytes(r, name);

	if (bytes.len != len)
		r->ok = false;
	else
		memcpy(into, bytes.data, len);
}

/* Decimal without leading zeros, quoted or not. */
static uint64_t
get_number(Reading *r, const char *name)
{
	const		json_t *value = json_object_get(r->object, name);
	const char *digits = json_string_value(value);
	uint64_t	number = 0;

	if (json_is_integer(value) && json_integer_value(value) >= 0)
		return (uint64_t) json_integer_value(value);
	if (digits == NULL || digits[0] == '\0' || (digits[0] == '0' && digits[1] != '\0') ||
		strlen(digits) != json_string_length(value))
		r->ok = false;
	else
		for (; *digits != '\0'; digits++)
		{
			uint64_t	d = (uint64_t) (*digits - '0');

			if (*digits < '0' || *digits > '9' || number > (UINT64_MAX - d) / 10)
			{
				r->ok = false;
				return 0;
			}
			number = number * 10 + d;
		}
	return number;
}

static const FtcPath *
get_path(Reading *r, const char *name)
{
	const		json_t *list = json_object_get(r->object, name);
	FtcPath    *path = keep(r, sizeof(FtcPath));

	path->n = 0;
	if (!json_is_array(list) || json_array_size(list) > FTC_PROOF_MAX)
		r->ok = false;
	else
		for (size_t i = 0; i < json_array_size(list); i++)
		{
			FtcSlice	bytes = decode(r, json_array_get(list, i));

			if (bytes.len != FTC_HASH_LEN)
				r->ok = false;
			else
				memcpy(path->hashes[path->n++].b, bytes.data, FTC_HASH_LEN);
		}
	return path;
}

static void
get_block(Reading *r, const FtcReceiptBlockNames *names, FtcReceiptBlock *block)
{
	block->header_bytes = get_bytes(r, names->header);
	get_fixed(r, names->signature, block->signature.b, FTC_SIGNATURE_LEN);
	block->member = get_bytes(r, names->member);
	block->member_index = get_number(r, names->member_index);
	block->members = get_number(r, names->members);
	block->state_path = get_path(r, names->state_path);
}

static void
get_receipt(Reading *r, FtcReceipt *receipt)
{
	if (get_number(r, "version") != 1)
		r->ok = false;
	get_fixed(r, "genesis", receipt->genesis.b, FTC_HASH_LEN);
	receipt->leaf = get_bytes(r, "leaf");
	receipt->leaf_index = get_number(r, "leaf_index");
	receipt->bundle_path = get_path(r, "bundle_path");
	receipt->salt = get_bytes(r, "salt");
	receipt->payload = get_bytes(r, "payload");
	receipt->bundle_head = get_bytes(r, "bundle");
	receipt->bundle_index = get_number(r, "bundle_index");
	receipt->body_path = get_path(r, "body_path");
	receipt->history_path = get_path(r, "history_path");
	receipt->genesis_path = get_path(r, "genesis_path");
	get_block(r, &ftc_receipt_block, &receipt->block);
	get_block(r, &ftc_receipt_head, &receipt->head);
}

bool
ftc_receipt_file_read(FtcReceiptFile *file, FtcSlice json)
{
	json_t	   *object = json_loadb((const char *) json.data, json.len, JSON_REJECT_DUPLICATES, NULL);
	Reading		r = {file, object, json_is_object(object)};

	memset(file, 0, sizeof(*file));
	if (r.ok)
		get_receipt(&r, &file->receipt);
	json_decref(object);
	return r.ok;
}

void
ftc_receipt_file_free(FtcReceiptFile *file)
{
	Piece	   *piece = file->memory;

	while (piece != NULL)
	{
		Piece	   *next = piece->next;

		free(piece);
		piece = next;
	}
	file->memory = NULL;
}
