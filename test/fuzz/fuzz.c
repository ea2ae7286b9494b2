/*-------------------------------------------------------------------------
 *
 * fuzz.c
 *	  A fuzzer for each decoder of the core: FTC_TARGET names which.
 *
 * A decoder may refuse anything, but must neither crash nor read beyond its
 * input; and what it accepts must be the one encoding of what it read.
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>

#include "block.h"
#include "body.h"
#include "link.h"
#include "rules.h"
#include "state.h"

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define OUT_MAX (1 << 20)
static uint8_t out[OUT_MAX];

/* The bytes again, or death. */
static void
same(FtcSlice in, size_t len)
{
	if (len != in.len || (len <= OUT_MAX && memcmp(out, in.data, len) != 0))
		abort();
}

static void
fuzz_header(FtcSlice in)
{
	FtcHeader	header;

	if (ftc_header_decode(&header, in) != FTC_OK)
		return;
	ftc_header_encode(&header, out);
	same(in, FTC_HEADER_LEN);
}

static void
fuzz_entry(FtcSlice in)
{
	FtcEntry	entry;

	if (ftc_entry_leaf_decode(&entry, in) == FTC_OK)
		same(in, ftc_entry_leaf_encode(&entry, out));
}

static void
fuzz_bundle(FtcSlice in)
{
	FtcBundle	bundle;

	if (ftc_bundle_leaf_decode(&bundle, in) == FTC_OK)
		same(in, ftc_bundle_leaf_encode(&bundle, out, sizeof(out)));
}

static void
fuzz_control(FtcSlice in)
{
	FtcControl	control;

	if (ftc_control_leaf_decode(&control, in) == FTC_OK)
		same(in, ftc_control_leaf_encode(&control, out, sizeof(out)));
}

static void
fuzz_params(FtcSlice in)
{
	FtcParams	params;

	if (ftc_params_decode(&params, in) == FTC_OK)
		same(in, ftc_params_encode(&params, out, sizeof(out)));
}

/* The first half as manifest, the second as its proof: cut where byte 0 says. */
static void
fuzz_manifest(FtcSlice in)
{
	FtcManifest manifest;
	FtcHash		root = {{0}};
	size_t		cut;

	if (in.len < 1)
		return;
	cut = (in.len - 1) * in.data[0] / 255;
	if (ftc_manifest_decode(&manifest, ftc_slice(in.data + 1, cut)) == FTC_OK)
		(void) ftc_manifest_verify(&manifest, ftc_slice(in.data + 1 + cut, in.len - 1 - cut), &root,
								   manifest.ncontrols + manifest.nbundles + manifest.entries);
}

static void
fuzz_body(FtcSlice in)
{
	FtcHash		root = {{0}};
	FtcBodyReader reader;

	if (ftc_body_open(&reader, in) == FTC_OK)
		(void) ftc_body_check(in, &root, reader.manifest.ncontrols + reader.manifest.nbundles +
							  reader.manifest.entries, NULL);
}

static void
fuzz_block(FtcSlice in)
{
	FtcBlock	block;

	if (ftc_block_decode(&block, in) == FTC_OK)
		same(in, ftc_block_encode(&block, out, sizeof(out)));
}

static void
fuzz_state(FtcSlice in)
{
	FtcState	state = {0};

	state.capacity = ftc_state_capacity(in);
	state.members = malloc(state.capacity * sizeof(FtcMember));
	if (ftc_state_decode(&state, in) == FTC_OK)
		same(in, ftc_state_encode(&state, out, sizeof(out)));
	free(state.members);
}

static void
fuzz_message(FtcSlice in)
{
	FtcMessage	message;

	if (ftc_message_decode(&message, in) == FTC_OK)
		same(in, ftc_message_encode(&message, out, sizeof(out)));
}

static void
fuzz_frontier(FtcSlice in)
{
	FtcFrontier frontier;

	if (ftc_frontier_decode(&frontier, in) != FTC_OK)
		return;
	same(in, ftc_frontier_encode(&frontier, out));
	(void) ftc_frontier_root(&frontier);
}

static void
fuzz_tip(FtcSlice in)
{
	FtcHeader	header = {0};
	FtcTip		tip;

	if (ftc_tip_decode(&tip, &header, in) == FTC_OK)
		same(in, ftc_tip_encode(&tip, out));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const targets[]) (FtcSlice) = {
		fuzz_header, fuzz_entry, fuzz_bundle, fuzz_control, fuzz_params, fuzz_manifest,
		fuzz_body, fuzz_block, fuzz_state, fuzz_message, fuzz_frontier, fuzz_tip
	};

	targets[FTC_TARGET] (ftc_slice(data, size));
	return 0;
}
