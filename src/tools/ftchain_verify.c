/*-------------------------------------------------------------------------
 *
 * ftchain_verify.c
 *	  Verify a chain in files, and receipts, without any database.
 *
 * It needs no server, no key and no trust in who made the files; only the genesis
 * id, and better a later block's too, from a place that one trusts.
 *
 *-------------------------------------------------------------------------
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "alloc.h"
#include "audit.h"
#include "receipt_file.h"
#include "source.h"

#ifndef FTCHAIN_VERSION
#define FTCHAIN_VERSION "unknown"
#endif

#define EXIT_SOUND 0
#define EXIT_FAULTS 1
#define HEX_LEN (2 * FTC_HASH_LEN + 1)

/* A receipt that was asked about. */
typedef struct Asked
{
	const char *path;
	FtcReceiptFile file;
	bool		readable;
} Asked;

typedef struct Options
{
	bool		has_genesis;
	FtcHash		genesis;
	bool		has_head;
	FtcHash		head;
	FtcHash    *contains;
	size_t		ncontains;
	size_t		contains_size;
	Asked	   *receipts;
	size_t		nreceipts;
	size_t		receipts_size;
	bool		complete;
	bool		json;
	char	  **files;
	int			nfiles;
} Options;

typedef struct Run
{
	const Options *options;
	FtcAudit   *audit;
	const char *path;			/* being read */
	uint64_t	wrong;			/* beside the faults of the audit */
	bool		trouble;
} Run;

/* ----------------------------------------------------------------
 *		Arguments
 * ----------------------------------------------------------------
 */

static void
print_help(void)
{
	puts("ftchain_verify verifies chains that ftchain.export() has written, and receipts.\n\n"
		 "Usage:\n"
		 "  ftchain_verify [OPTION]... FILE...\n"
		 "  ftchain_verify [OPTION]... --receipt=RECEIPT\n\n"
		 "Several files are the parts of one chain, in order of their heights; \"-\" is the\n"
		 "standard input.\n\n"
		 "Options:\n"
		 "  --genesis=HEX   id that the chain must have\n"
		 "  --head=HEX      id that its last block must have\n"
		 "  --contains=HEX  id of a block that must be on it; may be repeated\n"
		 "  --complete      all bodies must be there\n"
		 "  --receipt=FILE  a receipt, as ftchain.receipt() gives it; may be repeated\n"
		 "  --json          print a line of JSON for each fault, each receipt, and the result\n"
		 "  --help, --version\n\n"
		 "Exit status: 0 if all is well, 1 if something is not, 2 if that could not be told.");
}

static void
usage(const char *what, const char *of)
{
	fprintf(stderr, "ftchain_verify: %s%s\nTry \"ftchain_verify --help\".\n", what, of);
	exit(EXIT_TROUBLE);
}

static int
hex_digit(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = c == '\0' ? NULL : strchr(digits, c >= 'A' && c <= 'F' ? c + 'a' - 'A' : c);

	return at == NULL ? -1 : (int) (at - digits);
}

/* 64 digits, also as psql shows them. */
static FtcHash
hash_argument(const char *text)
{
	const char *at = strncmp(text, "\\x", 2) == 0 ? text +2 : text;
	FtcHash		hash;

	if (strlen(at) != 2 * FTC_HASH_LEN)
		usage("an id has 64 hexadecimal digits: ", text);
	for (int i = 0; i < FTC_HASH_LEN; i++)
	{
		int			high = hex_digit(at[2 * i]);
		int			low = hex_digit(at[2 * i + 1]);

		if (high < 0 || low < 0)
			usage("an id has 64 hexadecimal digits: ", text);
		hash.b[i] = (uint8_t) (high << 4 | low);
	}
	return hash;
}

static void
read_options(Options *o, int argc, char **argv)
{
	static const struct option options[] = {
		{"genesis", required_argument, NULL, 'g'}, {"head", required_argument, NULL, 'h'},
		{"contains", required_argument, NULL, 'c'}, {"complete", no_argument, NULL, 'a'},
		{"receipt", required_argument, NULL, 'r'}, {"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, '?'}, {"version", no_argument, NULL, 'V'}, {NULL, 0, NULL, 0}
	};
	int			c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1)
		switch (c)
		{
			case 'g':
				o->genesis = hash_argument(optarg);
				o->has_genesis = true;
				break;
			case 'h':
				o->head = hash_argument(optarg);
				o->has_head = true;
				break;
			case 'c':
				ftc_grow(o->contains, o->ncontains, o->contains_size);
				o->contains[o->ncontains++] = hash_argument(optarg);
				break;
			case 'a':
				o->complete = true;
				break;
			case 'r':
				ftc_grow(o->receipts, o->nreceipts, o->receipts_size);
				o->receipts[o->nreceipts++] = (Asked)
				{
					.path = optarg
				};
				break;
			case 'j':
				o->json = true;
				break;
			case 'V':
				puts("ftchain_verify " FTCHAIN_VERSION);
				exit(EXIT_SOUND);
			default:
				if (optopt != 0 || argc < 2 || strcmp(argv[optind - 1], "--help") != 0)
					usage("wrong arguments", "");
				print_help();
				exit(EXIT_SOUND);
		}
	o->files = argv + optind;
	o->nfiles = argc - optind;
	if (o->nfiles == 0 && o->nreceipts == 0)
		usage("no file", "");
}

/* ----------------------------------------------------------------
 *		Output
 * ----------------------------------------------------------------
 */

static const char *
hex(const FtcHash *hash, char text[HEX_LEN])
{
	for (int i = 0; i < FTC_HASH_LEN; i++)
		sprintf(text +2 * i, "%02x", hash->b[i]);
	return text;
}

static json_t *
hash_json(const FtcHash *hash)
{
	char text[	HEX_LEN];

	return hash == NULL ? json_null() : json_string(hex(hash, text));
}

static json_t *
text_json(const char *text)
{
	return text == NULL ? json_null() : json_string(text);
}

static void
print_json(json_t * object)
{
	if (object == NULL || json_dumpf(object, stdout, JSON_COMPACT) != 0)
	{
		fputs("ftchain_verify: could not write\n", stderr);
		exit(EXIT_TROUBLE);
	}
	putchar('\n');
	json_decref(object);
}

static void
print_fault(void *arg, const FtcAuditFault *f)
{
	const Run  *run = arg;
	char text[	HEX_LEN];

	if (run->options->json)
	{
		print_json(json_pack("{s:s, s:s, s:o, s:o, s:o, s:s, s:o, s:o}", "type", "fault", "file", run->path,
							 "height", f->has_height ? json_integer((json_int_t) f->height) : json_null(),
							 "block", hash_json(f->block), "entry", text_json(f->entry), "what", f->what,
							 "expected", text_json(f->expected), "found", text_json(f->found)));
		return;
	}
	printf("%s: ", run->path);
	if (f->has_height)
		printf("block %" PRIu64, f->height);
	if (f->block != NULL)
		printf(" (%.16s)", hex(f->block, text));
	if (f->entry != NULL)
		printf(", entry %s", f->entry);
	printf("%s%s", f->has_height ? ": " : "", f->what);
	if (f->expected != NULL)
		printf(", expected %s", f->expected);
	if (f->found != NULL)
		printf(f->expected != NULL ? ", found %s" : ": %s", f->found);
	putchar('\n');
}

/* Something is wrong with what was asked about. */
static void
complain(Run *run, const char *path, const char *what, const FtcHash *id)
{
	FtcAuditFault f = {.block = id,.what = what};

	run->path = path;
	run->wrong++;
	print_fault(run, &f);
}

/* ----------------------------------------------------------------
 *		Receipts
 * ----------------------------------------------------------------
 */

/* The whole of a small file; false if it cannot be read. */
static bool
read_file(const char *path, uint8_t **bytes, size_t *len)
{
	FILE	   *in = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
	size_t		size = 0;
	size_t		n;
	bool		ok;

	*bytes = NULL;
	*len = 0;
	if (in == NULL)
		return false;
	do
	{
		if (*len == size)
		{
			size = size == 0 ? 1 << 16 : 2 * size;
			*bytes = ftc_realloc(*bytes, size, 1);
		}
		n = fread(*bytes + *len, 1, size - *len, in);
		*len += n;
	} while (n > 0);
	ok = !ferror(in);
	if (in != stdin)
		fclose(in);
	return ok;
}

static void
trouble(Run *run, const char *path)
{
	fprintf(stderr, "ftchain_verify: could not read \"%s\": %s\n", path, strerror(errno));
	run->trouble = true;
}

/* The blocks that a receipt speaks of are to be looked out for. */
static void
open_receipt(Run *run, Asked *asked)
{
	FtcReceipt *receipt = &asked->file.receipt;
	uint8_t    *bytes;
	size_t		len;

	if (!read_file(asked->path, &bytes, &len))
	{
		trouble(run, asked->path);
		free(bytes);
		return;
	}
	asked->readable = ftc_receipt_file_read(&asked->file, ftc_slice(bytes, len));
	free(bytes);
	if (asked->readable && ftc_receipt_check(receipt, NULL, NULL) == NULL)
	{
		ftc_audit_want(run->audit, &receipt->block.id);
		ftc_audit_want(run->audit, &receipt->head.id);
	}
}

/* Is the chain in the files the one that the receipt is of?  NULL if it is. */
static const char *
compare_receipt(const Run *run, const FtcReceipt *receipt)
{
	uint64_t	first;
	uint64_t	last;
	bool		given;

	if (run->options->nfiles == 0)
		return NULL;
	if (ftc_audit_height_of(run->audit, &receipt->block.id) < 0)
		return "its block is not in the files";
	if (ftc_audit_head(run->audit, &first, &last, &given) != NULL && receipt->head.header.height <= last &&
		ftc_audit_height_of(run->audit, &receipt->head.id) < 0)
		return "its head is not on the chain";
	return NULL;
}

static void
close_receipt(Run *run, Asked *asked)
{
	FtcReceipt *receipt = &asked->file.receipt;
	const char *why = FTC_RECEIPT_MALFORMED;
	char		origin[HEX_LEN];

	if (asked->readable)
		why = ftc_receipt_check(receipt, ftc_audit_genesis(run->audit), NULL);
	if (why == NULL)
		why = compare_receipt(run, receipt);
	run->wrong += why != NULL;
	if (run->options->json)
		print_json(json_pack("{s:s, s:s, s:b, s:o, s:o, s:o}", "type", "receipt", "file", asked->path,
							 "valid", why == NULL, "reason", text_json(why),
							 "block", why == NULL ? hash_json(&receipt->block.id) : json_null(),
							 "head", why == NULL ? hash_json(&receipt->head.id) : json_null()));
	else if (why != NULL)
		printf("%s: %s\n", asked->path, why);
	else
		printf("%s: entry %s/%" PRIu64 "/%" PRIu64 " is in block %" PRIu64 "%s\n", asked->path,
			   hex(&receipt->entry.origin, origin), receipt->entry.incarnation, receipt->entry.seq,
			   receipt->block.header.height, run->options->nfiles > 0 ? " of the chain"
			   : "; compare its head, or give a file of the chain");
	ftc_receipt_file_free(&asked->file);
}

/* ----------------------------------------------------------------
 *		Files
 * ----------------------------------------------------------------
 */

static void
verify_file(Run *run, const char *path)
{
	FILE	   *in = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
	FtcSource	source;
	FtcSourceResult result;
	uint8_t		kind;
	FtcSlice	content;

	run->path = path;
	if (in == NULL)
	{
		trouble(run, path);
		return;
	}
	setvbuf(in, NULL, _IOFBF, 1 << 18);
	ftc_source_open(&source, in);
	while ((result = ftc_source_next(&source, &kind, &content)) == FTC_SOURCE_RECORD)
		ftc_audit_record(run->audit, kind, content);
	if (result == FTC_SOURCE_ERROR)
		trouble(run, path);
	else
	{
		if (result == FTC_SOURCE_BROKEN)
			ftc_audit_broken(run->audit, source.why);
		ftc_audit_end(run->audit);
	}
	ftc_source_close(&source);
	if (in != stdin)
		fclose(in);
}

/* What was asked for beyond the rules. */
static void
check_wishes(Run *run)
{
	const Options *o = run->options;
	const FtcAuditCounts *counts = ftc_audit_counts(run->audit);
	uint64_t	first;
	uint64_t	last;
	bool		given;
	const FtcHash *head = ftc_audit_head(run->audit, &first, &last, &given);
	const char *path = o->nfiles > 0 ? o->files[o->nfiles - 1] : "";

	if (o->has_head && (head == NULL || !ftc_hash_equal(head, &o->head)))
		complain(run, path, "the last block is another one", head);
	for (size_t i = 0; i < o->ncontains; i++)
		if (ftc_audit_height_of(run->audit, &o->contains[i]) < 0)
			complain(run, path, "a block is not on the chain", &o->contains[i]);
	if (o->complete && counts->not_held + counts->left_out + counts->damaged > 0)
		complain(run, path, "bodies are not in the files", NULL);
}

static void
print_result_json(const Run *run, bool sound)
{
	const FtcAuditCounts *n = ftc_audit_counts(run->audit);
	uint64_t	first = 0;
	uint64_t	last = 0;
	bool		given = false;
	const FtcHash *head = ftc_audit_head(run->audit, &first, &last, &given);

	print_json(json_pack("{s:s, s:b, s:o, s:o, s:o, s:o, s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
						 "type", "result", "ok", sound, "genesis", hash_json(ftc_audit_genesis(run->audit)),
						 "head", hash_json(head), "first", head ? json_integer((json_int_t) first) : json_null(),
						 "last", head ? json_integer((json_int_t) last) : json_null(),
						 "from_genesis", head != NULL && !given,
						 "faults", (json_int_t) (n->faults + run->wrong), "blocks", (json_int_t) n->blocks,
						 "headers_unchecked", (json_int_t) n->unchecked, "controls", (json_int_t) n->controls,
						 "bundles", (json_int_t) n->bundles, "entries", (json_int_t) n->entries,
						 "entries_without_payload", (json_int_t) n->erased, "statements", (json_int_t) n->statements,
						 "bodies", (json_int_t) n->bodies, "bodies_not_held", (json_int_t) n->not_held,
						 "bodies_left_out", (json_int_t) n->left_out, "bodies_damaged", (json_int_t) n->damaged));
}

static void
print_chain(const Run *run)
{
	const FtcAuditCounts *n = ftc_audit_counts(run->audit);
	char text[	HEX_LEN];
	uint64_t	first;
	uint64_t	last;
	bool		given;
	const FtcHash *head = ftc_audit_head(run->audit, &first, &last, &given);

	if (head == NULL)
		return;
	printf("genesis %s\n", hex(ftc_audit_genesis(run->audit), text));
	printf("head    %s\n", hex(head, text));
	printf("heights %" PRIu64 " to %" PRIu64 "%s\n", first, last,
		   given ? "; what is before them is taken as the file says" : "");
	printf("%" PRIu64 " blocks, %" PRIu64 " controls, %" PRIu64 " bundles, %" PRIu64 " statements\n", n->blocks,
		   n->controls, n->bundles, n->statements);
	printf("%" PRIu64 " entries in %" PRIu64 " bodies, %" PRIu64 " of them without payload\n", n->entries, n->bodies,
		   n->erased);
	if (n->not_held + n->left_out + n->damaged > 0)
		printf("not verified, as not in the files: %" PRIu64 " bodies not held where they were made, %" PRIu64
			   " left out, %" PRIu64 " damaged there\n", n->not_held, n->left_out, n->damaged);
	if (n->unchecked > 0)
		printf("not verified whole, as what they follow is damaged: %" PRIu64 " headers\n", n->unchecked);
	if (!run->options->has_genesis)
		puts("compare the genesis id with the one you know, or give it with --genesis");
}

int
main(int argc, char **argv)
{
	Options		options = {0};
	Run			run = {.options = &options};
	bool		sound;

	read_options(&options, argc, argv);
	run.audit = ftc_audit_new(options.has_genesis ? &options.genesis : NULL, print_fault, &run);
	for (size_t i = 0; i < options.nreceipts; i++)
		open_receipt(&run, &options.receipts[i]);
	for (size_t i = 0; i < options.ncontains; i++)
		ftc_audit_want(run.audit, &options.contains[i]);
	for (int i = 0; i < options.nfiles; i++)
		verify_file(&run, options.files[i]);
	check_wishes(&run);
	for (size_t i = 0; i < options.nreceipts; i++)
		close_receipt(&run, &options.receipts[i]);

	sound = !run.trouble && ftc_audit_counts(run.audit)->faults + run.wrong == 0;
	if (options.json)
		print_result_json(&run, sound);
	else
	{
		print_chain(&run);
		puts(sound ? "all is well" : run.trouble ? "not all could be read" : "NOT SOUND");
	}
	ftc_audit_free(run.audit);
	free(options.contains);
	free(options.receipts);
	if (fflush(stdout) != 0)
		return EXIT_TROUBLE;
	return run.trouble ? EXIT_TROUBLE : sound ? EXIT_SOUND : EXIT_FAULTS;
}
