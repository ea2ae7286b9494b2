/*-------------------------------------------------------------------------
 *
 * body.h
 *	  What a block holds: its manifest, and the entries it lists.
 *
 * The leaves of the body tree are, in this order: the controls, the bundle
 * heads, the entries of the bundles.  The first two kinds are the manifest;
 * it travels with the header to every member, with a proof that it is all,
 * so that state and the order of bundles can be followed without owning the
 * body.
 *
 * Manifest:	version u8 (1), zero u8, zero u16, ncontrols u32, nbundles u32,
 *				per control: leaf (length u32, bytes),
 *				per bundle: leaf (length u32, bytes), signature 64;
 *				bundles ascend by origin, incarnation, number.
 *
 * Proof:		nhashes u32, hashes (RFC 6962 consistency of the first k leaves,
 *				k = ncontrols + nbundles, with the whole tree),
 *				leaf k (length u32, bytes: an entry leaf),
 *				nhashes u32, hashes (its inclusion).
 *				With no entries: three zero u32.
 *
 * Body:		version u8 (1), form u8, zero u16, manifest (length u32, bytes),
 *				then by form:
 *	full 1		per entry, in the order of bundles and their seqs:
 *				erased u8 (0 or 1), time u64, author, kind (length u8, bytes),
 *				and salt 16, payload (length u32, bytes)
 *				or, if erased, the payload hash 32
 *	skeleton 2	per entry its leaf hash 32
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_BODY_H
#define FTC_BODY_H

#include "bundle.h"
#include "bytes.h"
#include "control.h"
#include "entry.h"
#include "merkle.h"
#include "types.h"

#define FTC_MANIFEST_VERSION	1
#define FTC_BODY_VERSION		1
#define FTC_BUNDLES_MAX			4096	/* bundles in one block */

typedef enum FtcBodyForm
{
	FTC_BODY_FULL = 1,
	FTC_BODY_SKELETON = 2
} FtcBodyForm;

typedef struct FtcSignedLeaf
{
	FtcSlice	leaf;
	FtcSignature signature;
} FtcSignedLeaf;

typedef struct FtcManifest
{
	FtcSlice	bytes;
	uint32_t	ncontrols;
	uint32_t	nbundles;
	uint32_t	entries;		/* sum of the bundles' counts */
	FtcReader	controls;		/* at the first control */
	FtcReader	bundles;		/* at the first bundle */
} FtcManifest;

extern size_t ftc_manifest_encode(const FtcSlice *controls, uint32_t ncontrols,
								  const FtcSignedLeaf *bundles, uint32_t nbundles,
								  uint8_t *bytes, size_t size);

/* Checks every leaf in it, their order and their number. */
extern FtcReason ftc_manifest_decode(FtcManifest *manifest, FtcSlice bytes);

/*
 * Walk a decoded manifest: start with a copy of manifest->controls or
 * ->bundles, and call as often as there are controls or bundles.
 */
extern FtcSlice ftc_manifest_next_control(FtcReader *at, FtcControl *control);
extern FtcSlice ftc_manifest_next_bundle(FtcReader *at, FtcBundle *bundle, FtcSignature *signature);

/* Add the leaves of the manifest to a tree. */
extern void ftc_manifest_leaves(const FtcManifest *manifest, FtcFrontier *tree);

/*
 * The proof, from all leaf hashes of the body tree (n of them, k in the
 * manifest) and the leaf bytes of the first entry (empty if there is none).
 */
#define FTC_PROOF_BYTES_MAX (3 * 4 + 2 * FTC_PROOF_MAX * FTC_HASH_LEN + FTC_ENTRY_LEAF_MAX)
extern size_t ftc_manifest_prove(const FtcHash *leaves, uint32_t n, uint32_t k,
								 FtcSlice first_entry, uint8_t *bytes);

/* FTC_OK if the manifest is all of the manifest of that body tree. */
extern FtcReason ftc_manifest_verify(const FtcManifest *manifest, FtcSlice proof,
									 const FtcHash *root, uint32_t leaves);

/*
 * The inclusion of a leaf of the manifest, a control or a bundle head, in the
 * body tree, verified; from the manifest and its proof, without the body.
 * hashes has room for all leaf hashes of the manifest, path for FTC_PROOF_MAX.
 */
extern FtcReason ftc_manifest_inclusion(const FtcManifest *manifest, FtcSlice proof,
										const FtcHash *root, uint32_t leaves, uint32_t index,
										FtcHash *hashes, FtcHash *path, int *npath);

/* The start of a full body, and one entry of it; both give what they add. */
extern size_t ftc_body_begin(FtcWriter *writer, FtcBodyForm form, FtcSlice manifest);
extern size_t ftc_body_put_entry(FtcWriter *writer, const FtcEntry *entry);
extern size_t ftc_body_entry_len(const FtcEntry *entry);

/* Reading a body, an entry at a time. */
typedef struct FtcBodyReader
{
	FtcManifest manifest;
	uint8_t		form;
	bool		checked;		/* by ftc_body_check(): not again */
	FtcReader	heads;			/* at the next bundle head */
	FtcReader	entries;		/* at the next entry */
	FtcBundle	bundle;			/* the one being read */
	uint32_t	nbundle;		/* its position, 0 .. nbundles - 1 */
	uint32_t	bundles_left;	/* heads not yet taken */
	uint32_t	entries_left;	/* of this bundle */
	uint32_t	range;			/* of this bundle, being read */
	uint64_t	seq;			/* of the next entry */
} FtcBodyReader;

extern FtcReason ftc_body_open(FtcBodyReader *reader, FtcSlice body);
extern bool ftc_body_more(const FtcBodyReader *reader);

/*
 * The next entry; only if there is more.  It is checked and its payload hash
 * computed, unless reader->checked was set after opening.
 */
extern FtcReason ftc_body_next(FtcBodyReader *reader, FtcEntry *entry);

/* The leaf hash of the next entry, whichever the form; erased: it has no payload. */
extern FtcReason ftc_body_next_leaf(FtcBodyReader *reader, FtcHash *leaf, bool *erased);

/*
 * Everything a body must be: well formed, of the given root and number of
 * leaves, each bundle of the root its head names.  hashes, if not NULL, has
 * room for the leaf hashes of all entries, in order.
 */
extern FtcReason ftc_body_check(FtcSlice body, const FtcHash *root, uint32_t leaves, FtcHash *hashes);

#endif							/* FTC_BODY_H */
