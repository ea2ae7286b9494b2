/*-------------------------------------------------------------------------
 *
 * words.h
 *	  What members say that they keep of bodies: their last word counts.
 *
 * Tables replica and shard_copy are what is believed; a statement that was taken
 * back stays in withdrawn, as it still shows that the body was stored once.  Words
 * say which (core/word.h).  All of it is done under the chain's lock.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_WORDS_H
#define FTC_WORDS_H

#include "chain.h"

/*
 * SQL for all that members have said about a block, as it goes to others: statements,
 * and words behind a zero; null if there is nothing.
 */
#define FTC_SAID_OF(block) \
	"SELECT nullif(coalesce((SELECT string_agg(r.member || r.signature, '' ORDER BY r.member) FROM" \
	" (SELECT member, signature FROM ftchain.replica WHERE block = " block \
	" UNION ALL SELECT member, signature FROM ftchain.withdrawn WHERE block = " block ") r), '')" \
	" || coalesce((SELECT decode(repeat('00', 32), 'hex') || string_agg(w.bytes || w.signature, '' ORDER BY w.member)" \
	" FROM ftchain.word w WHERE w.block = " block "), ''), '')"

/*
 * This database keeps something else of a body than it has said: its word on what it
 * keeps now, to all.
 */
extern void ftc_words_say(const FtcChain *chain, const FtcHash *block);

/* Has this database, or a member, said that it does not keep the body whole? */
extern bool ftc_words_is_gone(const FtcHash *block, const FtcHash *member);

/*
 * Does the word of a member count for all others as well, as far as they are there?
 * Who says something else to each would have its last word with all: so this one is
 * passed on first, and no later one has come back for a while.
 */
extern bool ftc_words_is_settled(const FtcChain *chain, const FtcHash *block, const FtcHash *member);

/* A word with its signature; from anybody.  One that is older than what is known is nothing new. */
extern FtcReason ftc_words_take(const FtcChain *chain, FtcSlice bytes);

/*
 * May a body of the chain be cut so?  Who is no member yet does not know that: the
 * chain may say it in a block that is still to come.
 */
extern bool ftc_words_may_be_cut(const FtcChain *chain, FtcSlice head);

/*
 * Words with their signatures, one after another; false if some are of nobody, or
 * about a block, that is not known here.
 */
extern bool ftc_words_take_all(const FtcChain *chain, FtcSlice bytes);

/* What was said of a body last, with its signature; empty if nothing. */
extern FtcSlice ftc_words_get(const FtcHash *block, const FtcHash *member);

/* Table shard_copy is made anew from the words on a body, where it says something else. */
extern void ftc_words_derive(const FtcChain *chain, const FtcHash *block);

/* A statement is taken back: it does not count for what is stored any more. */
extern void ftc_words_withdraw(const FtcChain *chain, const FtcHash *block, const FtcHash *member);

#endif							/* FTC_WORDS_H */
