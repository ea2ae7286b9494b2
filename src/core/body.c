/*-------------------------------------------------------------------------
 *
 * body.c
 *	  Manifests and bodies.
 *
 *-------------------------------------------------------------------------
 */
#include "body.h"

size_t
ftc_manifest_encode(const FtcSlice *controls, uint32_t ncontrols,
					const FtcSignedLeaf *bundles, uint32_t nbundles,
					uint8_t *bytes, size_t size)
{
	FtcWriter	writer = ftc_writer(bytes, size);

	ftc_put_u8(&writer, FTC_MANIFEST_VERSION);
	ftc_put_u8(&writer, 0);
	ftc_put_u16(&writer, 0);
	ftc_put_u32(&writer, ncontrols);
	ftc_put_u32(&writer, nbundles);
	for (uint32_t i = 0; i < ncontrols; i++)
		ftc_put_blob(&writer, controls[i]);
	for (uint32_t i = 0; i < nbundles; i++)
	{
		ftc_put_blob(&writer, bundles[i].leaf);
		ftc_put_bytes(&writer, bundles[i].signature.b, FTC_SIGNATURE_LEN);
	}
	return writer.len;
}

FtcSlice
ftc_manifest_next_control(FtcReader *at, FtcControl *control)
{
	FtcSlice	leaf = ftc_get_blob(at);

	(void) ftc_control_leaf_decode(control, leaf);
	return leaf;
}

FtcSlice
ftc_manifest_next_bundle(FtcReader *at, FtcBundle *bundle, FtcSignature *signature)
{
	FtcSlice	leaf = ftc_get_blob(at);

	ftc_get_bytes(at, signature->b, FTC_SIGNATURE_LEN);
	(void) ftc_bundle_leaf_decode(bundle, leaf);
	return leaf;
}

static FtcReason
check_controls(FtcReader *reader, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
	{
		FtcControl	control;
		FtcSlice	leaf = ftc_get_blob(reader);
		FtcReason	reason;

		if (reader->bad)
			return FTC_BAD_LENGTH;
		reason = ftc_control_leaf_decode(&control, leaf);
		if (reason != FTC_OK)
			return reason;
	}
	return FTC_OK;
}

static FtcReason
check_bundles(FtcReader *reader, uint32_t n, uint32_t *entries)
{
	FtcBundle	before = {0};

	for (uint32_t i = 0; i < n; i++)
	{
		FtcBundle	bundle;
		FtcSlice	leaf = ftc_get_blob(reader);
		FtcReason	reason;

		(void) ftc_get_slice(reader, FTC_SIGNATURE_LEN);
		if (reader->bad)
			return FTC_BAD_LENGTH;
		reason = ftc_bundle_leaf_decode(&bundle, leaf);
		if (reason != FTC_OK)
			return reason;
		if (i > 0 && ftc_bundle_compare(&before, &bundle) >= 0)
			return FTC_NOT_CANONICAL;
		*entries += bundle.count;
		if (*entries > FTC_LEAVES_MAX)
			return FTC_TOO_MANY;
		before = bundle;
	}
	return FTC_OK;
}

FtcReason
ftc_manifest_decode(FtcManifest *manifest, FtcSlice bytes)
{
	FtcReader	reader = ftc_reader(bytes);
	uint8_t		version = ftc_get_u8(&reader);
	uint8_t		zero8 = ftc_get_u8(&reader);
	uint16_t	zero16 = ftc_get_u16(&reader);
	FtcReason	reason;

	manifest->bytes = bytes;
	manifest->ncontrols = ftc_get_u32(&reader);
	manifest->nbundles = ftc_get_u32(&reader);
	manifest->entries = 0;
	if (reader.bad)
		return FTC_BAD_LENGTH;
	if (version != FTC_MANIFEST_VERSION)
		return FTC_BAD_VERSION;
	if (zero8 != 0 || zero16 != 0)
		return FTC_NOT_CANONICAL;
	if (manifest->ncontrols > FTC_CONTROLS_MAX || manifest->nbundles > FTC_BUNDLES_MAX)
		return FTC_TOO_MANY;
	manifest->controls = reader;
	reason = check_controls(&reader, manifest->ncontrols);
	if (reason != FTC_OK)
		return reason;
	manifest->bundles = reader;
	reason = check_bundles(&reader, manifest->nbundles, &manifest->entries);
	if (reason != FTC_OK)
		return reason;
	if (!ftc_reader_is_done(&reader))
		return FTC_BAD_LENGTH;
	return manifest->ncontrols + manifest->nbundles + manifest->entries > FTC_LEAVES_MAX
		? FTC_TOO_MANY : FTC_OK;
}

void
ftc_manifest_leaves(const FtcManifest *manifest, FtcFrontier *tree)
{
	FtcReader	at = manifest->controls;

	for (uint32_t i = 0; i < manifest->ncontrols; i++)
	{
		FtcHash		leaf = ftc_merkle_leaf(ftc_get_blob(&at));

		ftc_frontier_add(tree, &leaf);
	}
	at = manifest->bundles;
	for (uint32_t i = 0; i < manifest->nbundles; i++)
	{
		FtcHash		leaf = ftc_merkle_leaf(ftc_get_blob(&at));

		(void) ftc_get_slice(&at, FTC_SIGNATURE_LEN);
		ftc_frontier_add(tree, &leaf);
	}
}

static void
put_hashes(FtcWriter *writer, const FtcHash *hashes, int n)
{
	ftc_put_u32(writer, (uint32_t) n);
	for (int i = 0; i < n; i++)
		ftc_put_hash(writer, &hashes[i]);
}

size_t
ftc_manifest_prove(const FtcHash *leaves, uint32_t n, uint32_t k,
				   FtcSlice first_entry, uint8_t *bytes)
{
	FtcWriter	writer = ftc_writer(bytes, FTC_PROOF_BYTES_MAX);
	FtcHash		proof[FTC_PROOF_MAX];

	if (k < n)
	{
		put_hashes(&writer, proof, k > 0 ? ftc_merkle_consistency(leaves, n, k, proof) : 0);
		ftc_put_blob(&writer, first_entry);
		put_hashes(&writer, proof, ftc_merkle_inclusion(leaves, n, k, proof));
	}
	else
		ftc_put_bytes(&writer, "\0\0\0\0\0\0\0\0\0\0\0\0", 3 * 4);
	return writer.len;
}

/* A counted list of at most FTC_PROOF_MAX hashes; false if it is not one. */
static bool
get_hashes(FtcReader *reader, FtcHash *hashes, uint32_t *n)
{
	*n = ftc_get_u32(reader);
	if (*n > FTC_PROOF_MAX)
		return false;
	for (uint32_t i = 0; i < *n; i++)
		hashes[i] = ftc_get_hash(reader);
	return true;
}

/* A manifest's proof, read. */
typedef struct Proof
{
	FtcHash		consistency[FTC_PROOF_MAX];
	uint32_t	nconsistency;
	FtcSlice	first;
	FtcHash		inclusion[FTC_PROOF_MAX];
	uint32_t	ninclusion;
} Proof;

static bool
read_proof(Proof *proof, FtcSlice bytes)
{
	FtcReader	reader = ftc_reader(bytes);

	if (!get_hashes(&reader, proof->consistency, &proof->nconsistency))
		return false;
	proof->first = ftc_get_blob(&reader);
	return get_hashes(&reader, proof->inclusion, &proof->ninclusion) && ftc_reader_is_done(&reader);
}

FtcReason
ftc_manifest_verify(const FtcManifest *manifest, FtcSlice bytes,
					const FtcHash *root, uint32_t leaves)
{
	Proof		proof;
	uint32_t	k = manifest->ncontrols + manifest->nbundles;
	FtcFrontier tree;
	FtcHash		prefix;
	FtcHash		leaf;
	FtcEntry	entry;

	if (!read_proof(&proof, bytes))
		return FTC_BAD_LENGTH;
	if (leaves != k + manifest->entries)
		return FTC_BAD_BODY;
	ftc_frontier_init(&tree);
	ftc_manifest_leaves(manifest, &tree);
	prefix = ftc_frontier_root(&tree);
	if (manifest->entries == 0)
		return proof.nconsistency == 0 && proof.first.len == 0 && proof.ninclusion == 0 &&
			ftc_hash_equal(&prefix, root) ? FTC_OK : FTC_BAD_PROOF;
	/* entries come in bundles, so k > 0 here */
	if (ftc_merkle_verify_consistency(k, leaves, &prefix, root, proof.consistency,
									  proof.nconsistency) != FTC_OK)
		return FTC_BAD_PROOF;
	if (ftc_entry_leaf_decode(&entry, proof.first) != FTC_OK)
		return FTC_BAD_PROOF;
	leaf = ftc_merkle_leaf(proof.first);
	return ftc_merkle_verify_inclusion(&leaf, k, leaves, proof.inclusion, proof.ninclusion, root);
}

FtcReason
ftc_manifest_inclusion(const FtcManifest *manifest, FtcSlice bytes,
					   const FtcHash *root, uint32_t leaves, uint32_t index,
					   FtcHash *hashes, FtcHash *path, int *npath)
{
	Proof		proof;
	uint32_t	k = manifest->ncontrols + manifest->nbundles;
	FtcReader	at = manifest->controls;

	if (!read_proof(&proof, bytes))
		return FTC_BAD_LENGTH;
	if (leaves != k + manifest->entries)
		return FTC_BAD_BODY;
	if (index >= k)
		return FTC_OUT_OF_RANGE;
	for (uint32_t i = 0; i < manifest->ncontrols; i++)
		hashes[i] = ftc_merkle_leaf(ftc_get_blob(&at));
	at = manifest->bundles;
	for (uint32_t i = manifest->ncontrols; i < k; i++)
	{
		hashes[i] = ftc_merkle_leaf(ftc_get_blob(&at));
		(void) ftc_get_slice(&at, FTC_SIGNATURE_LEN);
	}
	*npath = ftc_merkle_prefix_inclusion(hashes, leaves, k, index, proof.consistency,
										 proof.nconsistency, path);
	if (*npath < 0)
		return FTC_BAD_PROOF;
	return ftc_merkle_verify_inclusion(&hashes[index], index, leaves, path, (uint64_t) *npath, root);
}

size_t
ftc_body_begin(FtcWriter *writer, FtcBodyForm form, FtcSlice manifest)
{
	size_t		before = writer->len;

	ftc_put_u8(writer, FTC_BODY_VERSION);
	ftc_put_u8(writer, (uint8_t) form);
	ftc_put_u16(writer, 0);
	ftc_put_blob(writer, manifest);
	return writer->len - before;
}

size_t
ftc_body_entry_len(const FtcEntry *entry)
{
	return 1 + 8 + 1 + entry->author.len + 1 + entry->kind.len +
		(entry->erased ? FTC_HASH_LEN : FTC_SALT_LEN + 4 + entry->payload.len);
}

size_t
ftc_body_put_entry(FtcWriter *writer, const FtcEntry *entry)
{
	size_t		before = writer->len;

	ftc_put_u8(writer, entry->erased ? 1 : 0);
	ftc_put_u64(writer, entry->time);
	ftc_put_name(writer, entry->author);
	ftc_put_name(writer, entry->kind);
	if (entry->erased)
		ftc_put_hash(writer, &entry->payload_hash);
	else
	{
		ftc_put_slice(writer, entry->salt);
		ftc_put_blob(writer, entry->payload);
	}
	return writer->len - before;
}

/* Step to the next bundle that has entries; every bundle has. */
static void
take_bundle(FtcBodyReader *reader)
{
	FtcSignature signature;

	if (reader->bundles_left == 0)
		return;
	reader->nbundle = reader->manifest.nbundles - reader->bundles_left;
	(void) ftc_manifest_next_bundle(&reader->heads, &reader->bundle, &signature);
	reader->bundles_left--;
	reader->entries_left = reader->bundle.count;
	reader->range = 0;
	reader->seq = ftc_bundle_range(&reader->bundle, 0).first;
}

FtcReason
ftc_body_open(FtcBodyReader *reader, FtcSlice body)
{
	FtcReader	in = ftc_reader(body);
	uint8_t		version = ftc_get_u8(&in);
	uint16_t	zero;
	FtcSlice	manifest;
	FtcReason	reason;

	reader->checked = false;
	reader->form = ftc_get_u8(&in);
	zero = ftc_get_u16(&in);
	manifest = ftc_get_blob(&in);
	if (in.bad)
		return FTC_BAD_LENGTH;
	if (body.len > FTC_BODY_MAX)
		return FTC_TOO_LARGE;
	if (version != FTC_BODY_VERSION)
		return FTC_BAD_VERSION;
	if (reader->form != FTC_BODY_FULL && reader->form != FTC_BODY_SKELETON)
		return FTC_BAD_KIND;
	if (zero != 0)
		return FTC_NOT_CANONICAL;
	reason = ftc_manifest_decode(&reader->manifest, manifest);
	if (reason != FTC_OK)
		return reason;
	reader->heads = reader->manifest.bundles;
	reader->bundles_left = reader->manifest.nbundles;
	reader->entries_left = 0;
	reader->entries = in;
	take_bundle(reader);
	return FTC_OK;
}

bool
ftc_body_more(const FtcBodyReader *reader)
{
	return reader->entries_left > 0;
}

/* Past the entry just read: the next seq, range or bundle. */
static void
advance(FtcBodyReader *reader)
{
	FtcRange	range = ftc_bundle_range(&reader->bundle, reader->range);

	if (--reader->entries_left == 0)
		take_bundle(reader);
	else if (reader->seq < range.last)
		reader->seq++;
	else
		reader->seq = ftc_bundle_range(&reader->bundle, ++reader->range).first;
}

FtcReason
ftc_body_next(FtcBodyReader *reader, FtcEntry *entry)
{
	FtcReader  *in = &reader->entries;
	uint8_t		erased = ftc_get_u8(in);

	if (reader->form != FTC_BODY_FULL)
		return FTC_BAD_KIND;
	memset(entry, 0, sizeof(*entry));
	entry->origin = reader->bundle.origin;
	entry->incarnation = reader->bundle.incarnation;
	entry->seq = reader->seq;
	entry->time = ftc_get_u64(in);
	entry->author = ftc_get_name(in);
	entry->kind = ftc_get_name(in);
	entry->erased = erased == 1;
	if (entry->erased)
		entry->payload_hash = ftc_get_hash(in);
	else
	{
		entry->salt = ftc_get_slice(in, FTC_SALT_LEN);
		entry->payload = ftc_get_blob(in);
	}
	if (in->bad)
		return FTC_BAD_LENGTH;
	if (erased > 1)
		return FTC_NOT_CANONICAL;
	if (!reader->checked)
	{
		FtcReason	reason = ftc_entry_check(entry);

		if (reason != FTC_OK)
			return reason;
		if (!entry->erased)
			entry->payload_hash = ftc_payload_hash(entry->salt, entry->payload);
	}
	advance(reader);
	return FTC_OK;
}

FtcReason
ftc_body_next_leaf(FtcBodyReader *reader, FtcHash *leaf, bool *erased)
{
	FtcEntry	entry;
	FtcReason	reason;

	if (reader->form == FTC_BODY_SKELETON)
	{
		*leaf = ftc_get_hash(&reader->entries);
		if (reader->entries.bad)
			return FTC_BAD_LENGTH;
		*erased = true;
		advance(reader);
		return FTC_OK;
	}
	reason = ftc_body_next(reader, &entry);
	*erased = entry.erased;
	if (reason == FTC_OK)
		*leaf = ftc_entry_leaf_hash(&entry);
	return reason;
}

FtcReason
ftc_body_check(FtcSlice body, const FtcHash *root, uint32_t leaves, FtcHash *hashes)
{
	FtcBodyReader reader;
	FtcFrontier whole;
	FtcFrontier part;
	FtcHash		found;
	FtcReason	reason = ftc_body_open(&reader, body);

	if (reason != FTC_OK)
		return reason;
	if (leaves != reader.manifest.ncontrols + reader.manifest.nbundles + reader.manifest.entries)
		return FTC_BAD_BODY;
	ftc_frontier_init(&whole);
	ftc_manifest_leaves(&reader.manifest, &whole);
	while (ftc_body_more(&reader))
	{
		FtcBundle	bundle = reader.bundle;

		ftc_frontier_init(&part);
		for (uint32_t i = 0; i < bundle.count; i++)
		{
			FtcHash		leaf;
			bool		erased;

			reason = ftc_body_next_leaf(&reader, &leaf, &erased);
			if (reason != FTC_OK)
				return reason;
			ftc_frontier_add(&part, &leaf);
			ftc_frontier_add(&whole, &leaf);
			if (hashes != NULL)
				*hashes++ = leaf;
		}
		found = ftc_frontier_root(&part);
		if (!ftc_hash_equal(&found, &bundle.root))
			return FTC_BAD_ROOT;
	}
	if (!ftc_reader_is_done(&reader.entries))
		return FTC_BAD_LENGTH;
	found = ftc_frontier_root(&whole);
	return ftc_hash_equal(&found, root) ? FTC_OK : FTC_BAD_ROOT;
}
